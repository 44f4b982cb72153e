"""A decoder without a model: it keeps the tokens of each sequence, refuses what llama.cpp would get wrong, and gives
logits that follow from all tokens before them and from nothing else.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from stages.inference.native import Logits, NoRoom, Row

VOCABULARY = 64


def logits_after(tokens: Sequence[int]) -> Logits:
    """What the model says after these tokens, shape (VOCABULARY,)."""
    seed = hashlib.blake2b(np.asarray(tokens, np.int32).tobytes(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(seed)).normal(0.0, 2.0, VOCABULARY).astype(np.float32)


class FakeDecoder:
    """Implements `engine.Decoder` and `prefixes.Store`. A cell is a number; sequences that share it have it in common.

    `unified`: a copy shares the cells of its origin, and all together have at most `cells`; else each of `sequences`
    has its own part of them. `recurrent`: a sequence can only be forgotten or copied as a whole.
    """

    def __init__(
        self, *, cells: int, sequences: int = 8, rows: int = 16, unified: bool = True, recurrent: bool = False
    ) -> None:
        self.held: list[list[int]] = [[] for _ in range(sequences)]  # the tokens of each sequence
        self.decodes: list[list[Row]] = []
        self.before_decode: Callable[[list[Row]], None] = lambda rows: None
        self.fault: Exception | None = None  # of the next decode, which leaves half of its rows behind
        self._places: list[list[int]] = [[] for _ in range(sequences)]  # their cells
        self._cells = cells
        self._rows = rows
        self._unified = unified
        self._recurrent = recurrent
        self._fresh = count()
        self._logits: dict[int, Logits] = {}

    @property
    def computed(self) -> int:
        """Rows of all decodes."""
        return sum(map(len, self.decodes))

    @property
    def cells_taken(self) -> int:
        return len({cell for places in self._places for cell in places})

    def decode(self, rows: list[Row]) -> None:
        self.before_decode(rows)
        assert 0 < len(rows) <= self._rows, f"{len(rows)} rows in a step of {self._rows}"
        self._check_room(rows)
        for stale in self._logits.values():
            stale.fill(np.nan)  # llama.cpp's are overwritten too
        self._logits.clear()
        fault, self.fault = self.fault, None
        self.decodes.append(list(rows))
        for at, row in enumerate(rows[: len(rows) // 2] if fault else rows):
            held = self.held[row.sequence]
            assert row.position == len(held), f"sequence {row.sequence} holds {len(held)} tokens: {row}"
            held.append(row.token)
            self._places[row.sequence].append(next(self._fresh))
            if row.wanted:
                self._logits[at] = logits_after(held)
        if fault is not None:
            raise fault

    def logits(self, row: int) -> Logits:
        return self._logits[row]

    def cut_back(self, sequence: int, length: int) -> bool:
        if self._recurrent and 0 < length < len(self.held[sequence]):
            return False
        assert length <= len(self.held[sequence])
        del self.held[sequence][length:], self._places[sequence][length:]
        return True

    def copy(self, source: int, target: int, length: int) -> None:
        assert not self.held[target], f"sequence {target} is not empty"
        assert 0 < length <= len(self.held[source])
        assert not self._recurrent or length == len(self.held[source])
        self.held[target] = self.held[source][:length]
        shared = self._places[source][:length]
        self._places[target] = shared if self._unified else [next(self._fresh) for _ in shared]

    def save(self, sequence: int) -> npt.NDArray[np.uint8]:
        return np.asarray(self.held[sequence], np.int32).view(np.uint8).copy()

    def restore(self, sequence: int, state: npt.NDArray[np.uint8]) -> bool:
        assert not self.held[sequence], f"sequence {sequence} is not empty"
        if len(state) % 4:
            return False
        self.held[sequence] = np.frombuffer(state.tobytes(), np.int32).tolist()
        self._places[sequence] = [next(self._fresh) for _ in self.held[sequence]]
        assert not self._unified or self.cells_taken <= self._cells, "no room was made for a saved prefix"
        return True

    def _check_room(self, rows: list[Row]) -> None:
        if self._unified:
            full = self.cells_taken + len(rows) > self._cells
        else:
            each = self._cells // len(self.held)
            needs = {row.sequence: len(self.held[row.sequence]) for row in rows}
            for row in rows:
                needs[row.sequence] += 1
            full = max(needs.values()) > each
        if full:
            raise NoRoom(f"{len(rows)} rows find no room in a cache of {self._cells} cells")
