"""The lessons that no training is made of. Training only; needs no PyTorch."""

from collections.abc import Iterator

from models.training.generate import lessons
from models.training.lesson import Lesson
from models.training.settings import Settings

SHARE_INVENTED = 0.5


def validation_lessons(settings: Settings, count: int) -> Iterator[Lesson]:
    """So many, half of them about surgeries that are invented for validation only."""
    return lessons(
        settings.lessons.seed,
        count,
        share_invented=SHARE_INVENTED,
        part="validation",
        most_lines=settings.lessons.most_lines,
    )
