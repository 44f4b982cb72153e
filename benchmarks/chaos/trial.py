"""One fault and its verdict: what every scenario of the chaos suite returns."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one fault. `problems`: in words, all that was not as promised; none if it was survived."""

    fault: str  # what was done, and when
    problems: tuple[str, ...] = ()
    requests_lost: int = 0  # without an answer, or with more than one
    states_wrong: int = 0  # not as in an undisturbed run, or missing
    leaks: int = 0  # processes, shared-memory segments, sockets and run directories that were left

    @property
    def survived(self) -> bool:
        """Whether everything was as promised."""
        return not (self.problems or self.requests_lost or self.states_wrong or self.leaks)


Scenario = Callable[[Path, Random], Trial]
"""Injects one fault into a pipeline of its own. The folder is empty, short enough for ipc sockets, and removed
afterwards; when the fault comes is drawn from the Random."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The trials of one scenario, summed up."""

    injected: int
    survived: int
    requests_lost: int
    states_wrong: int
    leaks: int
    problems: tuple[str, ...]  # of each trial that was not survived, with its fault


def tally(trials: list[Trial]) -> Tally:
    """Sum up."""
    return Tally(
        injected=len(trials),
        survived=sum(trial.survived for trial in trials),
        requests_lost=sum(trial.requests_lost for trial in trials),
        states_wrong=sum(trial.states_wrong for trial in trials),
        leaks=sum(trial.leaks for trial in trials),
        problems=tuple(f"{t.fault}: {'; '.join(t.problems) or 'counts'}" for t in trials if not t.survived),
    )
