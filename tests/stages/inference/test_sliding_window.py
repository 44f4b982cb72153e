"""A cache whose sliding-window layers keep a part of their cells says what one says that keeps them all.

Random histories of sequences that grow, are cut back, saved and restored; both caches go the same way. The model has
weights of 16 bits: with those of 8 bits the order of sums matters as much as a missing cell.
"""

import random
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from tiny_models import write_gemma

from stages.inference.native import Context, Layout, Model, Row
from stages.inference.shelf import State

BACK = 60
ROWS = 64
LONGEST = 800  # tokens; the window is 64
GROWTHS = (1, 1, 2, 5, 20, 60, 130)
CUTS = (1, 2, 5, 30, BACK, 100, 200)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = write_gemma(tmp_path_factory.mktemp("exact") / "gemma.gguf", exact=True)
    with closing(Model(path)) as model:
        yield model


class Twins:
    """The two caches, and the tokens that their sequences hold."""

    def __init__(self, model: Model, chance: random.Random) -> None:
        self.part, self.whole = (_opened(model, back) for back in (BACK, None))
        self.held: list[list[int]] = [[], []]
        self.farthest = 0.0
        self._most = model.tokens - 10
        self._chance = chance

    def grow(self, sequence: int, count: int) -> None:
        """Both compute the same new tokens; what they say after the last is compared."""
        new = [self._chance.randrange(300, self._most) for _ in range(count)]
        for start in range(0, count, ROWS):
            part = new[start : start + ROWS]
            at = len(self.held[sequence])
            rows = [Row(token, at + n, sequence, n == len(part) - 1) for n, token in enumerate(part)]
            self.part.decode(rows)
            self.whole.decode(rows)
            self.held[sequence] += part
        said, wanted = (context.logits(len(rows) - 1) for context in (self.part, self.whole))
        self.farthest = max(self.farthest, float(np.abs(said - wanted).max()))

    def cut_back(self, sequence: int, length: int) -> bool:
        cut = self.part.cut_back(sequence, length)
        if cut:
            assert self.whole.cut_back(sequence, length)
            del self.held[sequence][length:]
        return cut

    def save(self, sequence: int) -> tuple[list[int], State, State]:
        return list(self.held[sequence]), self.part.save(sequence), self.whole.save(sequence)

    def restore(self, sequence: int, saved: tuple[list[int], State, State]) -> None:
        assert self.cut_back(sequence, 0)
        self.held[sequence] = list(saved[0])
        assert self.part.restore(sequence, saved[1])
        assert self.whole.restore(sequence, saved[2])

    def close(self) -> None:
        self.part.close()
        self.whole.close()


def _opened(model: Model, back: int | None) -> Context:
    return Context(
        model, Layout(cells=2048, sequences=2, rows=ROWS, threads=1, unified=False, back=back, flash_attention=False)
    )


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_sequence_went_through_its_window_is_there(model: Model, seed: int) -> None:
    chance = random.Random(seed)
    saved: list[tuple[list[int], State, State]] = []
    cut = {True: 0, False: 0}
    with closing(Twins(model, chance)) as twins:
        for _ in range(250):
            sequence = chance.randrange(2)
            length = len(twins.held[sequence])
            if length > LONGEST:
                twins.cut_back(sequence, 0)
            elif not length or chance.random() < 0.5:
                twins.grow(sequence, chance.choice(GROWTHS))
            elif chance.random() < 0.8:
                cut[twins.cut_back(sequence, max(1, length - chance.choice(CUTS)))] += 1
                twins.grow(sequence, chance.choice(GROWTHS))
            elif saved and chance.random() < 0.5:
                twins.restore(sequence, chance.choice(saved))
                twins.grow(sequence, 2)
            else:
                saved.append(twins.save(sequence))
        assert twins.farthest < 0.2  # a missing cell makes more than 1
    assert min(cut.values()) > 5


def test_after_each_question_a_sequence_can_be_cut_back_by_as_much_as_was_asked_for(model: Model) -> None:
    chance = random.Random(1)
    with closing(Twins(model, chance)) as twins:
        twins.grow(0, 200)
        while len(twins.held[0]) < LONGEST:
            lasting = len(twins.held[0]) + chance.randrange(1, 20)
            twins.grow(0, lasting - len(twins.held[0]) + chance.randrange(1, BACK))
            assert twins.cut_back(0, lasting)
        assert not twins.cut_back(0, 100)
        assert len(twins.held[0]) > 100
        twins.grow(0, 1)
        assert twins.farthest < 0.2
