"""What a stage process tells the supervisor of itself: dead letters and counters. Used by the loop."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import zmq

from pipeline import control
from pipeline.codec import encode, type_name
from pipeline.journal import Journal
from pipeline.messages import DeadLetter, Message
from pipeline.queue import Receiver, Sender
from pipeline.sockets import Socket

NOTICES = 20  # dead letters told to the supervisor between two reports; the journal has them all


class Reporter:
    """Counts and tells. `due` is when the next report should be made (monotonic seconds)."""

    def __init__(self, socket: Socket, journal: Journal | None, interval_s: float) -> None:
        self.due = 0.0
        self._socket = socket
        self._journal = journal
        self._interval_s = interval_s
        self._dead: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._notices = 0

    def tell(self, message: Message) -> None:
        """Send the supervisor a message that it must have."""
        self._socket.send(encode(message))

    def dead_letter(self, reason: str, error: str, source: str, payload: bytes) -> None:
        """A message could not be taken: count it, journal it, and tell of it unless there were many."""
        self._dead[reason] += 1
        letter = DeadLetter(reason=reason, error=error, source=source, head=repr(payload[:120]))
        if self._journal is not None:
            self._journal.write(type_name(letter), encode(letter))
        if self._notices < NOTICES:
            self._notices += 1
            self._mention(control.Notice(letter=letter), "notice")
        else:
            self._dropped["notice"] += 1

    def report(self, counters: Mapping[str, float], senders: Sequence[Sender], receivers: Sequence[Receiver]) -> None:
        """Tell all counters: the given ones, dead letters by reason, and those of the queues."""
        told = {**counters, **{f"dead_letter.{reason}": float(count) for reason, count in self._dead.items()}}
        told |= {f"dropped.{cause}": float(count) for cause, count in self._dropped.items()}
        for sender in senders:
            told[f"queue.{sender.name}.sent"] = float(sender.messages)
            told[f"queue.{sender.name}.depth"] = float(sender.depth + sender.backlog)
        for receiver in receivers:
            for cause, count in (("repeated_delivery", receiver.repeated), ("damaged", receiver.damaged)):
                told[f"dropped.{cause}"] = told.get(f"dropped.{cause}", 0.0) + count
        self._mention(control.Report(counters=told), "report")
        self._notices = 0
        self.due = time.monotonic() + self._interval_s

    def _mention(self, message: Message, what: str) -> None:
        """Send the supervisor what it can do without: one that does not read must not stop the stage."""
        try:
            self._socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            self._dropped[what] += 1
