"""What the loop of a stage is connected to: where messages come in and where they go out. In each stage process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.board import Board
from pipeline.control import StageName
from pipeline.egress import Publisher
from pipeline.ingress import Arrival
from pipeline.journal import Journal
from pipeline.messages import Message
from pipeline.queue import Receiver, Sender
from pipeline.sockets import Socket


class Source(Protocol):
    """Where messages come in from outside."""

    name: str
    socket: Socket

    def receive(self) -> Arrival | None:
        """The next message, or None if there is none now. Raises Rejected."""

    def confirm(self) -> None:
        """What was received is in the journal now: tell those who want to know."""


class Sink(Protocol):
    """Where messages go out to the outside."""

    def encode(self, message: Message) -> bytes:
        """The message as it is sent and journalled."""

    def send(self, message: Message, payload: bytes) -> None:
        """Send it now or with the next `flush`; never blocks."""

    def flush(self) -> None:
        """Send what waits; never blocks."""


@dataclass
class Wiring:
    """What a stage is connected to."""

    control: Socket
    board: Board
    journal: Journal | None = None
    journalled: frozenset[type[Message]] = frozenset()
    sources: list[Source] = field(default_factory=list)  # from outside
    inputs: list[Receiver] = field(default_factory=list)  # from other stages
    feedback: list[Receiver] = field(default_factory=list)
    outputs: dict[type[Message], Sender] = field(default_factory=dict)
    sinks: dict[type[Message], Sink] = field(default_factory=dict)  # to the outside
    publisher: Publisher | None = None
    to: dict[StageName, Sender] = field(default_factory=dict)  # the sender whose receiver is that stage
    no_pressure: tuple[Sender, ...] = ()  # a backlog here stops nobody: it is bounded by what may be asked
    behind_journal: tuple[Sender | Sink, ...] = ()  # what goes there says that the rest is done: the journal is first
    on_arrival: Callable[[Arrival], None] | None = None
    counters: Callable[[], dict[str, float]] = dict
