"""What a stage is to the loop that runs it. Used by the prompt, inference and parse processes.

A stage is plain: messages go in, messages come out. It touches no socket, file, process or clock of its own
but the one it is given, so a test or a notebook can run it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from pipeline.control import StageName
from pipeline.messages import Message, ModelChanged
from pipeline.restore import Past, Restored

LOADING: Final = "loading"  # in `at_work`: the next `step` loads the model again, which may take long


class Stage(Protocol):
    """The work of one process."""

    @property
    def accepting(self) -> bool:
        """False while new inputs must wait in their queue. Answers to the stage's own questions come all the same."""

    @property
    def idle(self) -> bool:
        """True when nothing that was taken is still unanswered."""

    @property
    def at_work(self) -> tuple[str, ...]:
        """The ids of the jobs that the next `step` works on, for the report if the process dies in it."""

    def load(self) -> ModelChanged | None:
        """Do what takes long, once, before the first message. The inference stage says what became of its model."""

    def restore(self, past: Past) -> Restored:
        """Know again what a process before this one knew. Before any `handle` but the model's."""

    def met(self, peer: StageName) -> Iterable[Message]:
        """The process of another stage, to which this one sends, is ready, and new; what it is to be told."""

    def handle(self, message: Message) -> Iterable[Message]:
        """Take one message; what is to be sent on. Raises Rejected for an input that cannot be taken."""

    def step(self) -> Iterable[Message]:
        """Do a piece of the work at hand, or what is due by the clock; what is to be sent on."""

    def wait_s(self) -> float | None:
        """How long to wait for a message before `step` is called: 0.0 if work is at hand, None without end."""

    def counters(self) -> dict[str, float]:
        """What was counted since the start, by name."""

    def close(self) -> None:
        """Give back what the stage holds. Called once more is no error."""
