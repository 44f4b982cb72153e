"""The screen of the replay command: progress and changes on standard error, states on standard output or a file."""

import sys
from types import TracebackType
from typing import IO, Self

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline import events
from pipeline.messages import LLMResponse, SurgeryState
from pipeline.replay import Summary
from pipeline.terminal import Changes, show_summary

SHOWN = (events.StageDied, events.Model, events.DeadLettered, events.JournalChanged)


class StateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A published state as `--states` writes it."""

    session: str
    seq: int
    t: float
    based_on: int
    outcome: str
    degraded: bool
    state: dict[str, object]


class Screen:
    """Shows a replay while it runs. `states`: a file for the states, "-" for standard output, "" for none."""

    def __init__(self, states: str, inputs: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._changes = Changes()
        self._own_file = states not in ("", "-")
        self._file: IO[bytes] | None = None
        if states:
            self._file = open(states, "wb") if self._own_file else sys.stdout.buffer  # noqa: SIM115, PTH123
        self._progress = Progress(
            TextColumn("replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("inputs"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("replay", total=inputs)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._file is not None:
            self._file.flush()
            if self._own_file:
                self._file.close()

    def state(self, state: SurgeryState) -> None:
        """Write the state, and show what it changed."""
        if self._file is not None:
            self._file.write(
                msgspec.json.encode(
                    StateLine(
                        session=state.session,
                        seq=state.seq,
                        t=state.t,
                        based_on=state.based_on,
                        outcome=state.outcome,
                        degraded=state.degraded,
                        state=state.state,
                    )
                )
                + b"\n"
            )
        for line in self._changes.lines(state):
            self._progress.console.print(line, soft_wrap=True)

    def response(self, response: LLMResponse) -> None:
        """Show the answer to an explicit request."""
        self._progress.console.print(
            f"request {response.request_id}: {response.outcome} {response.error}", markup=False, soft_wrap=True
        )

    def sent(self, number: int) -> None:
        """One more input was sent."""
        self._progress.update(self._task, completed=number)

    def event(self, event: events.AnyEvent) -> None:
        """Show what matters of what happens to the pipeline."""
        if isinstance(event, SHOWN):
            self._progress.console.print(event.sentence(), markup=False, soft_wrap=True)

    def summary(self, summary: Summary) -> None:
        """The end."""
        self._progress.stop()
        show_summary(self._console, summary)
