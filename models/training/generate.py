"""Lessons without end, the same for a seed: `python -m models.training.show` prints some. Used by training only."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from models.training.course import Course
from models.training.invent import invented_room
from models.training.lesson import Lesson
from models.training.rooms import Part, Room, shipped_room
from models.training.written import Written, written_room
from pipeline.config import resolve
from stages.surgery import load_surgeries

_AT_ONCE: Final = 24  # sessions that take turns, so that neighbours are not of one room
_SHARE_WRITTEN_DOWN: Final = 0.5  # of the rooms that are not shipped, if sentences were written for such
_SESSIONS_EACH: Final = 3  # of an invented room: a dictionary is computed once for all questions behind it


def lessons(
    seed: int,
    count: int,
    *,
    share_invented: float = 0.5,
    part: Part = "train",
    most_lines: int = 10,
    written: Sequence[Written] = (),
    share_written: float = 0.0,
) -> Iterator[Lesson]:
    """`count` lessons, always the same for the same arguments.

    `share_invented` of them (0 to 1) are about invented surgeries. The surgeries that are invented for validation
    are never those of training, and their random numbers are others for the same seed. At most `most_lines` lines are
    shown, at least 5; a few more where the newest cannot be understood without. In rooms of surgeries that have
    `written` sentences, `share_written` of what is said are those.
    """
    rng = Random(f"{part} {seed}")
    rooms = _rooms(rng, share_invented, part, written, share_written)
    courses = [_endless(rng, rooms, most_lines) for _ in range(_AT_ONCE)]
    for _ in range(count):
        yield next(rng.choice(courses))


def _endless(rng: Random, rooms: Iterator[Room], most_lines: int) -> Iterator[Lesson]:
    for room in rooms:
        yield from Course(rng, room, most_lines).lessons()


def _rooms(
    rng: Random, share_invented: float, part: Part, written: Sequence[Written], share_written: float
) -> Iterator[Room]:
    shipped = load_surgeries(resolve("configs/machines"))
    of_shipped = {each.surgery.surgery: each for each in written if each.surgery.surgery in shipped}
    of_others = [each for each in written if each.surgery.surgery not in shipped]
    number = 0
    while True:
        if rng.random() < share_invented / (share_invented + _SESSIONS_EACH * (1 - share_invented)):
            number += 1
            known = bool(of_others) and rng.random() < _SHARE_WRITTEN_DOWN
            room = (
                written_room(rng, rng.choice(of_others), share_written) if known else invented_room(rng, number, part)
            )
            yield from [room] * _SESSIONS_EACH
        else:
            name = rng.choice([*shipped])
            told = of_shipped.get(name)
            yield written_room(rng, told, share_written) if told else shipped_room(shipped[name])
