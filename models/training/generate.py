"""Lessons without end, the same for a seed: `python -m models.training.show` prints some. Used by training only."""

from collections.abc import Iterator
from typing import Literal

from models.training.lesson import Lesson

Part = Literal["train", "validation"]


def lessons(
    seed: int, count: int, *, share_invented: float = 0.5, part: Part = "train", most_lines: int = 10
) -> Iterator[Lesson]:
    """`count` lessons, always the same for the same arguments.

    `share_invented` of them (0 to 1) are about invented surgeries. The surgeries that are invented for validation
    are never those of training, and their random numbers are others for the same seed. At most `most_lines` are shown.
    """
    raise NotImplementedError
