"""Lessons about one small surgery, for models whose tokens are letters."""

import random
from collections.abc import Iterator

from models.training.lesson import Answer, Lesson, Line
from stages.prompt.tail import Moment
from stages.surgery import Machine, Phase, Surgery

NAMES = ("Suction", "Pump", "Light")


def small_surgery(name: str) -> Surgery:
    return Surgery(
        name,
        name,
        "OR",
        (Phase("Phase1", "Begin"), Phase("Phase2", "End")),
        tuple(Machine(f"M{number:02d}", each, "Any") for number, each in enumerate(NAMES, 1)),
    )


def small_lessons(seed: int, count: int, part: str = "train", **_: object) -> Iterator[Lesson]:
    """In the place of `models.training.generate.lessons`: on, off, or only named."""
    draw = random.Random(f"{part} {seed}")
    surgeries = [small_surgery(name) for name in ("One", "Two")]
    for _number in range(count):
        surgery = draw.choice(surgeries)
        machine, kind, phase = draw.choice(surgery.machines), draw.choice(("on", "off", "talk")), draw.choice((0, 1))
        lines = [Line(float(at), "", draw.choice(("yes", "and please"))) for at in range(draw.randrange(3))]
        lines.append(Line(9.0, "Surgeon", f"{machine.name} {kind}"))
        answer = Answer(
            on=(machine.id,) if kind == "on" else (),
            off=(machine.id,) if kind == "off" else (),
            phase=f"Phase{phase + 1}",
            next="Phase2",
            why=kind,
            tips=(),
        )
        moment = Moment(t=10.0, phase=answer.phase, machines={each.id: "OFF" for each in surgery.machines})
        yield Lesson(surgery, tuple(lines), moment, answer, kind)
