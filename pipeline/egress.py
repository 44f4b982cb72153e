"""Where states go out: an XPUB socket (PUB to subscribers), bound by the parse process.

Three frames: topic (`state/<session>`, or `status`), type, payload. ZeroMQ drops for a subscriber that does not
keep up: `seq` counts each session's states, so a subscriber sees the gap. Here it is only seen that a queue is full,
not how much its subscriber then misses: ZeroMQ drops for it, without a word, until it reads again.
"""

import time

import zmq

from pipeline import endpoints
from pipeline.codec import encode, encode_json, type_name
from pipeline.ingress import Requests
from pipeline.messages import LLMResponse, Message, SurgeryState
from pipeline.sockets import Socket, receive_now

STATUS_TOPIC = b"status"
WAIT_MS = 50
MOST_WAITING = 4096  # states, while subscriptions are awaited
BUNDLE = 16  # states that go out together at most: the first of them is not to wait long


def state_topic(session: str) -> bytes:
    """The topic of a session's states; a subscription to `state/` gets all of them."""
    return f"state/{session}".encode()


class Publisher:
    """The XPUB socket as a sink for SurgeryState and Status.

    A new subscriber is answered with the newest Status, so that it knows that its subscription stands: what is
    published from then on reaches it. What one cycle of the loop made goes out together: each message alone would
    wake ZeroMQ's own thread, which costs more than the message.
    """

    def __init__(self, socket: Socket, bind: str, as_json: bool, door: endpoints.Door = endpoints) -> None:
        self.socket = socket
        socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is told, once
        self.encode = encode_json if as_json else encode
        self._status: tuple[bytes, ...] | None = None
        self._waiting: list[tuple[bytes, ...]] = []
        self.subscriptions = 0
        self._awaited = 0
        self._until_s = 0.0
        self.full = 0  # times that queues of subscribers were found full
        door.bind(socket, bind, "egress.states")

    def send(self, message: Message, payload: bytes) -> None:
        """Publish with the next `flush`, or now if enough waits."""
        kind = type_name(message).encode()
        if isinstance(message, SurgeryState):
            self._waiting.append((state_topic(message.session), kind, payload))
        else:
            self._status = (STATUS_TOPIC, kind, payload)
            self._waiting.append(self._status)
        if len(self._waiting) >= BUNDLE:
            self.flush()

    def await_subscriptions(self, count: int, wait_s: float) -> None:
        """So many are to come (back): what is published waits for them, but not for long and not without bounds."""
        self._awaited, self._until_s = count, time.monotonic() + wait_s

    def flush(self) -> None:
        """Hand out what waits; never blocks."""
        if self._awaited:
            self.on_readable()
            lacking = self.subscriptions < self._awaited
            if lacking and time.monotonic() < self._until_s and len(self._waiting) < MOST_WAITING:
                return
            self._awaited = 0
        for frames in self._waiting:
            self._send(frames)
        self._waiting.clear()

    def finish(self) -> None:
        """Hand out the last of it: nothing comes after, so those who are awaited are waited for here."""
        while self._awaited and self._waiting:
            self.socket.poll(WAIT_MS)
            self.flush()

    def on_readable(self) -> None:
        """Take subscriptions."""
        came = False
        while (frames := receive_now(self.socket)) is not None:
            comes = frames[0].startswith(b"\x01")
            came |= comes
            self.subscriptions += 1 if comes else -1
        if came and self._status is not None:
            self._send(self._status)

    def _send(self, frames: tuple[bytes, ...]) -> None:
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # for whom there is no room it is dropped, the others get it
            self.full += 1
            self.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self.socket.send_multipart(frames, zmq.NOBLOCK)
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)


class JournalOnly:
    """A sink for what only the journal has: it is recorded as everything that is sent on, and goes nowhere."""

    encode = staticmethod(encode)

    def send(self, message: Message, payload: bytes) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing waits."""


class Answers:
    """The request socket as a sink for LLMResponse. An answer is to be in the journal first: it is given once."""

    encode = staticmethod(encode)

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._waiting: list[LLMResponse] = []

    def send(self, message: Message, payload: bytes) -> None:
        """Answer whoever asked with the next `flush`."""
        assert isinstance(message, LLMResponse)
        self._waiting.append(message)

    def flush(self) -> None:
        """Answer; never blocks."""
        for response in self._waiting:
            self._requests.answer(response)
        self._waiting.clear()
