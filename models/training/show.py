"""`python -m models.training.show --seed 3 --count 20`: prints lessons to read."""

from typing import Annotated

import typer

from models.training.generate import lessons
from models.training.rooms import Part


def show(
    seed: Annotated[int, typer.Option(help="The same seed gives the same lessons.")] = 3,
    count: Annotated[int, typer.Option(help="How many.")] = 20,
    part: Annotated[str, typer.Option(help="train or validation.")] = "train",
    kind: Annotated[str, typer.Option(help="Only lessons of this kind of talk.")] = "",
) -> None:
    """Print lessons: the state that the prompt tells, the lines, and the answer."""
    which: Part = "validation" if part == "validation" else "train"
    for lesson in lessons(seed, count, part=which):
        if kind in ("", lesson.kind):
            on = ", ".join(f"{m.id} {m.name}" for m in lesson.surgery.machines if lesson.moment.machines[m.id] == "ON")
            print(f"\n--- {lesson.surgery.surgery} · {lesson.kind} · {lesson.moment.phase} · on: {on or 'none'}")
            print(lesson.transcript(True) + lesson.answer.text())


if __name__ == "__main__":
    typer.run(show)
