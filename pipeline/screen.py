"""The screen of the replay command: progress and changes on standard error, states on standard output or a file."""

import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from pipeline import events
from pipeline.console import Bar
from pipeline.errors import ConfigError
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
    """Shows a replay while it runs. `states`: a file for the states, "-" for standard output, "" for none.

    Raises ConfigError if that file cannot be written.
    """

    def __init__(self, states: str, inputs: int) -> None:
        self._changes = Changes()
        self._own_file = states not in ("", "-")
        self._file: IO[bytes] | None = None
        if states:
            self._file = _opened(states) if self._own_file else sys.stdout.buffer
        self._bar = Bar("replaying", inputs)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
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
            self._bar.console.print(line, soft_wrap=True)

    def response(self, response: LLMResponse) -> None:
        """Show the answer to an explicit request."""
        self._bar.say(f"request {response.request_id}: {response.outcome} {response.error}")

    def sent(self, number: int) -> None:
        """One more input was sent."""
        self._bar(number)

    def event(self, event: events.AnyEvent) -> None:
        """Show what matters of what happens to the pipeline."""
        if isinstance(event, SHOWN):
            self._bar.say(event.sentence())

    def summary(self, summary: Summary) -> None:
        """The end, once the screen is closed."""
        show_summary(self._bar.console, summary)


def _opened(states: str) -> IO[bytes]:
    try:
        return Path(states).open("wb")
    except OSError as error:
        raise ConfigError(f"--states {states}: cannot be written: {error.strerror}; give another name, or -") from error
