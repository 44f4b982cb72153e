"""When a waiting job is admitted to the model: the drain rule. Used by the inference process.

A cycle drains up to `batch` jobs, or what comes within `window_ms` of its first; then the next one begins. A lone job
starts at once, and who comes later joins those at work, of which there are never more than `batch`: whoever is
finished makes room. A strict cycle is that of a plain micro-batcher: it starts when `batch` jobs wait or the oldest
has waited `window_ms`, nobody joins it, and the next one waits for its end. A job that must run alone has a cycle of
its own, which waits for nobody. Jobs never overtake each other.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
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
        self._alone = False
        self.cycles = 0
        self.jobs = 0
        self.sizes = [0] * (batch + 1)  # sizes[n]: cycles that had n jobs

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: PromptJob) -> None:
        """A job arrives."""
        self._waiting.append(Waiting(job, self._clock()))

    def put_back(self, jobs: Iterable[PromptJob]) -> None:
        """Jobs that were admitted are to be admitted once more, before all others."""
        now = self._clock()
        self._waiting.extendleft(reversed([Waiting(job, now) for job in jobs]))

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
        if active:
            return [] if self._alone or self._strict else self._front(self._batch - active)
        if self._waiting[0].job.alone:
            return [self._waiting[0].job]
        front = self._front(self._batch)
        full = len(front) == self._batch or len(front) < len(self._waiting)
        if self._strict and not full and self._clock() - self._waiting[0].since_ns < self._window_ns:
            return []
        return front

    def admit(self, active: int) -> list[PromptJob]:
        """Take out the jobs that are due, and count them to their cycle."""
        jobs = self.due(active)
        if not jobs:
            return jobs
        for _ in jobs:
            self._waiting.popleft()
        now = self._clock()
        drains = active and now - self._began_ns < self._window_ns
        if drains and self._size + len(jobs) <= self._batch:
            self.sizes[self._size] -= 1
        else:
            self.cycles += 1
            self._size = 0
            self._began_ns = now
        self._alone = jobs[0].alone
        self._size += len(jobs)
        self.sizes[self._size] += 1
        self.jobs += len(jobs)
        return jobs

    def clear(self) -> list[PromptJob]:
        """Take out all waiting jobs."""
        jobs = [waiting.job for waiting in self._waiting]
        self._waiting.clear()
        return jobs

    def withdraw(self, job_id: str) -> PromptJob | None:
        """Take out a waiting job; None if it does not wait."""
        found = next((waiting for waiting in self._waiting if waiting.job.job_id == job_id), None)
        if found is None:
            return None
        self._waiting.remove(found)
        return found.job

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
