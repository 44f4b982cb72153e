"""What a person at a terminal sees of a command: text in colours or without, and a bar for long work.

Runs in a command's process. Where no terminal is there is no bar. With NO_COLOR, or on a terminal that cannot move its
cursor, nothing but plain text is written: then a line tells each tenth of the work.
"""

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.status_table import lasting


def colourless() -> bool:
    """Whether the user wants no colours: https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


def console(*, stderr: bool = False) -> Console:
    """A console for text that stays; standard output is for results."""
    return Console(stderr=stderr, highlight=False, color_system=None if colourless() else "auto")


class Bar:
    """A bar on standard error with the time that remains; called as `pipeline.progress.Progress` is.

    `total`: 0 if it is not known yet. `still`: it is drawn when it is told something, and not while time is measured.
    """

    def __init__(self, what: str, total: int = 0, *, still: bool = False) -> None:
        self.console = console(stderr=True)
        self._what, self._total, self._done = what, total, 0
        self._plain = self.console.is_terminal and (colourless() or self.console.is_dumb_terminal)
        self._tenth = 0
        self._begin = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            auto_refresh=not still,
            redirect_stdout=False,  # it is for results, also while the bar is there
            disable=self._plain or not self.console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total or None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int = 0) -> None:
        """So much is done, of so much if that is known by now."""
        self._done, self._total = done, total or self._total
        self._progress.update(self._task, completed=done, total=self._total or None, refresh=self._is_still)
        if self._plain and self._total and (tenth := 10 * done // self._total) > self._tenth:
            self._tenth = tenth
            left = (time.monotonic() - self._begin) * (self._total - done) / done
            self.say(f"{self._what}: {10 * tenth} %" + (f", {lasting(left)} left" if done < self._total else ""))

    def advance(self) -> None:
        """One more is done."""
        self(self._done + 1)

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        self.console.print(line, markup=False, soft_wrap=True)

    @property
    def _is_still(self) -> bool:
        return not self._progress.live.auto_refresh
