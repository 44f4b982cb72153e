"""When a waiting job is admitted to the model: the drain rule. Used by the inference process.

A cycle takes up to `batch` jobs. A lone job starts one at once; those that arrive within `window_ms` of its start
join it while there is room and it still runs; the others wait for the next. A strict cycle is that of a plain
micro-batcher: it starts when `batch` jobs wait or the oldest has waited `window_ms`, and nobody joins it. A job
that must run alone has a cycle of its own, which waits for nobody. Jobs never overtake each other.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.messages import PromptJob


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job and since when (monotonic ns) it waits."""

    job: PromptJob
    since_ns: int


class Cycle:
    """The jobs that wait, and how far the running cycle is filled."""

    def __init__(
        self, batch: int, window_ms: float, strict: bool, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._batch = batch
        self._window_ns = round(window_ms * 1e6)
        self._strict = strict
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._began_ns = 0
        self._size = 0
        self._closed = False
        self.cycles = 0
        self.jobs = 0
        self.sizes = [0] * (batch + 1)  # sizes[n]: cycles that had n jobs

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: PromptJob) -> None:
        """A job arrives."""
        self._waiting.append(Waiting(job, self._clock()))

    def expire(self) -> list[PromptJob]:
        """Take out the waiting jobs whose deadline has passed."""
        now = self._clock()
        late = [w.job for w in self._waiting if w.job.deadline_ns is not None and w.job.deadline_ns <= now]
        if late:
            gone = {id(job) for job in late}
            self._waiting = deque(w for w in self._waiting if id(w.job) not in gone)
        return late

    def due(self, active: int) -> list[PromptJob]:
        """The jobs that may be admitted now, oldest first, while `active` admitted ones are unanswered."""
        if not self._waiting:
            return []
        now = self._clock()
        if active:
            if self._closed or now - self._began_ns >= self._window_ns:
                return []
            return self._front(self._batch - self._size)
        if self._waiting[0].job.alone:
            return [self._waiting[0].job]
        front = self._front(self._batch)
        full = len(front) == self._batch or len(front) < len(self._waiting)
        if self._strict and not full and now - self._waiting[0].since_ns < self._window_ns:
            return []
        return front

    def admit(self, active: int) -> list[PromptJob]:
        """Take out the jobs that are due, and count them to their cycle."""
        jobs = self.due(active)
        if not jobs:
            return jobs
        for _ in jobs:
            self._waiting.popleft()
        if active:
            self.sizes[self._size] -= 1
        else:
            self.cycles += 1
            self._size = 0
            self._began_ns = self._clock()
            self._closed = self._strict or jobs[0].alone
        self._size += len(jobs)
        self.sizes[self._size] += 1
        self.jobs += len(jobs)
        return jobs

    def wait_s(self, active: int) -> float | None:
        """Until when `admit` or `expire` has something to do, if no job arrives: seconds, None for never."""
        if not self._waiting:
            return None
        if self.due(active):
            return 0.0
        now = self._clock()
        times = [w.job.deadline_ns for w in self._waiting if w.job.deadline_ns is not None]
        if self._strict and not active:
            times.append(self._waiting[0].since_ns + self._window_ns)
        return max(0, min(times) - now) / 1e9 if times else None

    def _front(self, room: int) -> list[PromptJob]:
        jobs: list[PromptJob] = []
        for waiting in self._waiting:
            if len(jobs) == room or waiting.job.alone:
                break
            jobs.append(waiting.job)
        return jobs
