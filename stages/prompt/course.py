"""What was asked and learned before this process began, in its order and at its place among the inputs."""

from collections.abc import Callable, Iterator

from pipeline.messages import Learned, PromptJob
from pipeline.restore import Past


class Course:
    """The questions of sessions and their verdicts, as the journal has them. `until` is called with growing places."""

    def __init__(self, past: Past) -> None:
        self._events = _events(past)
        self._following = next(self._events, None)
        self._open: dict[str, PromptJob] = {}

    def until(self, inputs: Callable[[str], int]) -> Iterator[PromptJob | Learned]:
        """What happened before more inputs than `inputs` says of each session were taken, and was not told yet.

        In the order of the journal, which is that of time.
        """
        while (event := self._following) is not None and _place(event) <= inputs(session_of(event)):
            if isinstance(event, PromptJob):
                self._open[event.job_id] = event
            else:
                self._open.pop(event.verdict.job_id, None)
            yield event
            self._following = next(self._events, None)

    @property
    def over(self) -> bool:
        """Whether nothing follows any more."""
        return self._following is None

    @property
    def open(self) -> list[PromptJob]:
        """The questions, of those that were told, that have no verdict."""
        return list(self._open.values())


def session_of(event: PromptJob | Learned) -> str:
    """The name of its session."""
    return event.verdict.session if isinstance(event, Learned) else event.rules.session


def _place(event: PromptJob | Learned) -> int:
    return event.after if isinstance(event, Learned) else event.rules.place


def _events(past: Past) -> Iterator[PromptJob | Learned]:
    for _, message in past.read(PromptJob, Learned):
        if isinstance(message, Learned) or (isinstance(message, PromptJob) and message.kind == "session"):
            yield message
