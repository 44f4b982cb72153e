"""How much memory the processes of an instance take while something is done to them, and how much they may."""

import threading
from types import TracebackType
from typing import Final, Self

import psutil

from pipeline.messages import Status

EVERY_S: Final = 0.2
# ZeroMQ: 64 bytes of msg_t in the queue, for each of up to 3 frames, and 40 of content_t at the payload
MESSAGE_BYTES: Final = 3 * (64 + 40)
# An allocator that rounds up to powers of two, at most
ROUNDING: Final = 2
# What prompt and parse remember by limits of their own, of jobs, numbers and answers (MAX_JOBS, REMEMBERED, LATE ...):
# some 20,000 entries of at most 400 bytes
REMEMBERED_BYTES: Final = 8_000_000


def most_bytes(high_water_marks: int, payload_bytes: int) -> int:
    """How much a process may grow: full queues, whose marks add up to that, and what it remembers."""
    return ROUNDING * high_water_marks * (payload_bytes + MESSAGE_BYTES) + REMEMBERED_BYTES


class Growth:
    """The growth of each process since the beginning of the `with` block, at its most (USS, bytes)."""

    def __init__(self, supervisor: int, status: Status) -> None:
        pids = {"supervisor": supervisor, **{name: stage.pid for name, stage in status.stages.items()}}
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")
        self.most: dict[str, int] = dict.fromkeys(pids, 0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def beyond(self, limits: dict[str, int]) -> list[str]:
        """In words, who grew by more than that; who has no limit may grow by what one remembers."""
        limits = dict.fromkeys(self.most, REMEMBERED_BYTES) | limits
        return [
            f"{name} grew by {most / 1e6:.1f} MB, and {limits[name] / 1e6:.1f} MB are its bound"
            for name, most in self.most.items()
            if most > limits[name]
        ]

    def __str__(self) -> str:
        return "growth in MB: " + ", ".join(f"{name} {most / 1e6:.1f}" for name, most in self.most.items())

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            now = self._now()
            self.most = {name: max(self.most[name], now[name] - self._before[name]) for name in now}

    def _now(self) -> dict[str, int]:
        return {name: int(process.memory_full_info().uss) for name, process in self._processes.items()}
