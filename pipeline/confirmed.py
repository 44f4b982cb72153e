"""Sending so that nothing is lost: numbered messages that are confirmed once they are journalled. Both ends of it.

    client                                                request endpoint (ROUTER)
      [Numbered 7, payload]             ------------->      taken if 7 is the next of this client, else let go
                                        <-------------      [Confirmed 7]: all until 7 are in the journal
                                        <-------------      [Resend 5]: 5 did not come, and those behind it are let go
      [Numbered 5, payload], [Numbered 6, ...
                                        <-------------      [Resend 0]: this process knows nothing of this client
      [Numbered 5 first, payload], [Numbered 6, ...

A client keeps what is not confirmed and sends it again, in order, when it is asked to. What was journalled by a
process before and comes again is known by the sequence number of its publisher. The first frames are ASCII, so that
any language can speak this. No sockets here: the clients and pipeline/ingress.py own them.
"""

import re
from collections import OrderedDict, deque
from typing import Final

from pipeline.errors import Rejected

WINDOW: Final = 1024  # messages that may be unconfirmed
WINDOW_BYTES: Final = 8 << 20
STREAMS: Final = 1024  # clients that are known at one time
_NUMBERED = re.compile(rb"Numbered ([0-9]{1,18})( first)?")
_ANSWER = re.compile(rb"(Confirmed|Resend) ([0-9]{1,18})")


class Unconfirmed:
    """The client's end: what was sent and may have to be sent again."""

    def __init__(self) -> None:
        self._number = 0
        self._kept: deque[bytes] = deque()  # the newest is number `_number`
        self._bytes = 0
        self._begun = False

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def full(self) -> bool:
        """Whether the next message must wait for a confirmation."""
        return len(self._kept) >= WINDOW or self._bytes >= WINDOW_BYTES

    def add(self, payload: bytes) -> list[bytes]:
        """Keep a message; its frames."""
        self._number += 1
        self._kept.append(payload)
        self._bytes += len(payload)
        first, self._begun = not self._begun, True
        return _frames(self._number, payload, first)

    def heard(self, said: bytes) -> list[list[bytes]]:
        """The other end said something; what is to be sent now, mostly nothing. Other words are passed over."""
        if not (match := _ANSWER.fullmatch(said)):
            return []
        number = int(match[2])
        if match[1] == b"Resend":
            self._confirmed(number - 1)
            self._begun = number > 0 or bool(self._kept)
            numbers = range(self._number - len(self._kept) + 1, self._number + 1)
            first = numbers[0] if numbers and not number else 0
            return [_frames(n, payload, n == first) for n, payload in zip(numbers, self._kept, strict=True)]
        self._confirmed(number)
        return []

    def oldest(self) -> list[bytes]:
        """The oldest again: the answer tells whether the rest has come. Call it only if something is unconfirmed."""
        return _frames(self._number - len(self._kept) + 1, self._kept[0], False)

    def _confirmed(self, number: int) -> None:
        while self._kept and self._number - len(self._kept) < number:
            self._bytes -= len(self._kept.popleft())


class _Stream:
    """What is known of one client."""

    __slots__ = ("beyond", "next")

    def __init__(self) -> None:
        self.next = 0  # 0: nothing is known, it must say which is its first
        self.beyond = 0  # the newest number that was let go since Resend was said; 0: it was not


class Confirmations:
    """The pipeline's end, for all clients, by the envelopes of their messages."""

    def __init__(self) -> None:
        self._streams: OrderedDict[bytes, _Stream] = OrderedDict()
        self._untold: dict[bytes, list[bytes]] = {}
        self._resend: dict[bytes, list[bytes]] = {}

    def take(self, envelope: list[bytes], head: bytes) -> bool:
        """Whether the message with that first frame is the next one of its client; others are to be let go.

        Raises Rejected("bad_message") for a frame that is none.
        """
        match = _NUMBERED.fullmatch(head)
        if match is None:
            raise Rejected("bad_message", f"first frame {head[:60]!r}; give b'Numbered 17' or b'Numbered 17 first'")
        number, identity = int(match[1]), envelope[0]
        stream = self._streams.get(identity)
        if stream is None:
            stream = self._streams[identity] = _Stream()
            if len(self._streams) > STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(identity)
        if match[2]:
            stream.next = number
        if number == stream.next and number:
            stream.next, stream.beyond = number + 1, 0
            self._untold[identity] = envelope
            return True
        if 0 < number < stream.next:  # it came before
            self._untold[identity] = envelope
        elif not stream.beyond or number <= stream.beyond:  # once for all that are on their way
            self._resend[identity] = envelope
            stream.beyond = max(1, number)
        else:
            stream.beyond = number
        return False

    def answers(self) -> list[list[bytes]]:
        """What is to be told now that what was taken is in the journal: each with its envelope."""
        if not (self._untold or self._resend):
            return []
        told = [
            [*envelope, b"Confirmed %d" % (self._streams[identity].next - 1)]
            for identity, envelope in self._untold.items()
            if identity in self._streams
        ]
        told += [
            [*envelope, b"Resend %d" % self._streams[identity].next]
            for identity, envelope in self._resend.items()
            if identity in self._streams
        ]
        self._untold.clear()
        self._resend.clear()
        return told


def is_numbered(head: bytes) -> bool:
    """Whether a first frame is that of a numbered message."""
    return head.startswith(b"Numbered")


def _frames(number: int, payload: bytes, first: bool) -> list[bytes]:
    return [b"Numbered %d first" % number if first else b"Numbered %d" % number, payload]
