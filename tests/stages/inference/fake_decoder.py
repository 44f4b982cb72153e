"""A decoder without a model: it keeps the tokens of each sequence, refuses what llama.cpp would get wrong, and gives
logits that follow from all tokens before them and from nothing else.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from stages.inference.native import Logits, NoRoom, Row
from stages.inference.shelf import State

VOCABULARY = 64


def logits_after(tokens: Sequence[int]) -> Logits:
    """What the model says after these tokens, shape (VOCABULARY,). It repeats itself: guesses are good."""
    return _noise(tokens, 1.0) + _noise(tokens[-2:], 3.0)


def _noise(tokens: Sequence[int], scale: float) -> Logits:
    seed = hashlib.blake2b(np.asarray(tokens, np.int32).tobytes(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(seed)).normal(0.0, scale, VOCABULARY).astype(np.float32)


def state_of(tokens: Sequence[int]) -> State:
    """What `save` gives for a sequence with these tokens: four bytes for each."""
    return np.asarray(tokens, np.int32).view(np.uint8).copy()


class FakeDecoder:
    """Implements `engine.Decoder`. Each of `sequences` has `cells` of its own.

    `back`: a sequence can be cut back by so many tokens; 0 is a recurrent model, None one without a limit.
    """

    def __init__(self, *, cells: int, sequences: int = 4, rows: int = 16, back: int | None = None) -> None:
        self.held: list[list[int]] = [[] for _ in range(sequences)]  # the tokens of each sequence
        self.decodes: list[list[Row]] = []
        self.before_decode: Callable[[list[Row]], None] = lambda rows: None
        self.fault: Exception | None = None  # of the next decode, which leaves half of its rows behind
        self.fits: Callable[[State], bool] = lambda state: True  # what does not leaves half of its tokens behind
        self._cells = cells
        self._rows = rows
        self._back = back
        self._logits: dict[int, Logits] = {}

    @property
    def computed(self) -> int:
        """Rows of all decodes."""
        return sum(map(len, self.decodes))

    @property
    def cells_taken(self) -> int:
        return sum(map(len, self.held))

    def decode(self, rows: list[Row]) -> None:
        self.before_decode(rows)
        assert 0 < len(rows) <= self._rows, f"{len(rows)} rows in a step of {self._rows}"
        self._check_room(rows)
        for stale in self._logits.values():
            stale.fill(np.nan)  # llama.cpp's are overwritten too
        self._logits.clear()
        fault, self.fault = self.fault, None
        self.decodes.append(list(rows))
        for at, row in enumerate(rows[: (len(rows) + 1) // 2] if fault else rows):
            held = self.held[row.sequence]
            assert row.position == len(held), f"sequence {row.sequence} holds {len(held)} tokens: {row}"
            held.append(row.token)
            if row.wanted:
                self._logits[at] = logits_after(held)
        if fault is not None:
            raise fault

    def logits(self, row: int) -> Logits:
        assert row in self._logits, f"the logits of row {row} were not wanted"
        return self._logits[row]

    def cut_back(self, sequence: int, length: int) -> bool:
        if self._back is not None and length and len(self.held[sequence]) - length > self._back:
            return False
        assert length <= len(self.held[sequence])
        del self.held[sequence][length:]
        return True

    def save(self, sequence: int) -> State:
        return state_of(self.held[sequence])

    def restore(self, sequence: int, state: State) -> bool:
        assert not self.held[sequence], f"sequence {sequence} is not empty"
        tokens = np.frombuffer(state.tobytes(), np.int32).tolist()
        assert len(tokens) <= self._cells, "a state larger than a sequence"
        fits = self.fits(state)
        self.held[sequence] = tokens if fits else tokens[: len(tokens) // 2]
        return fits

    def _check_room(self, rows: list[Row]) -> None:
        needs = [len(held) for held in self.held]
        for row in rows:
            needs[row.sequence] += 1
        if max(needs) > self._cells:
            raise NoRoom(f"{len(rows)} rows find no room in sequences of {self._cells} cells")
