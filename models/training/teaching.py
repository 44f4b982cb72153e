"""The packs of a training, in an order that follows from the settings. Training only."""

import random
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import msgspec

from models.training.encode import Encoder
from models.training.generate import lessons
from models.training.lesson import Lesson
from models.training.packs import Pack, pack_all
from models.training.settings import Settings
from models.training.written import written
from pipeline.config import resolve
from pipeline.errors import UNDECODABLE, ConfigError


class Teaching:
    """Lessons in chunks, each made and packed at one go: so any place is found again without making all before it."""

    def __init__(self, encoder: Encoder, settings: Settings) -> None:
        """Raises ConfigError if there is a file of lessons or utterances and it cannot be read."""
        self._encoder, self._settings = encoder, settings
        told = settings.lessons
        self._own = read_lessons(Path(told.own)) if told.own else []
        self._written = written(map(resolve, told.written))

    def packs(self, chunk: int, pack: int) -> Iterator[tuple[int, int, Pack]]:
        """Without end, from that pack of that chunk on: chunk, number in it, pack."""
        for number in count(chunk):
            for at, each in islice(enumerate(self._packs_of(number)), pack if number == chunk else 0, None):
                yield number, at, each

    def _packs_of(self, chunk: int) -> list[Pack]:
        steps = self._settings.steps
        draw = random.Random(f"words {self._settings.lessons.seed} {chunk}")
        share = self._settings.lessons.share_words
        examples = [self._encoder.encode(each, with_words=draw.random() < share) for each in self._lessons(chunk)]
        return pack_all(examples, steps.tokens, steps.together, f"{self._settings.lessons.seed} {chunk}")

    def _lessons(self, chunk: int) -> Iterator[Lesson]:
        told = self._settings.lessons
        from_own = round(told.chunk * told.share_own) if self._own else 0
        made = lessons(
            told.seed * 100_000 + chunk,
            told.chunk - from_own,
            share_invented=told.share_invented,
            most_lines=told.most_lines,
            written=self._written,
            share_written=told.share_written,
        )
        yield from made
        yield from random.Random(f"own {told.seed} {chunk}").choices(self._own, k=from_own)


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of a file, one a line as JSON. Raises ConfigError, which names file and line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; correct lessons.own") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(msgspec.json.decode(line, type=Lesson))
        except UNDECODABLE as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
    if not found:
        raise ConfigError(f"{path}: has no lessons; correct lessons.own")
    return found
