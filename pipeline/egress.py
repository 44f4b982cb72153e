"""Where states go out: an XPUB socket (PUB to subscribers), bound by the parse process.

Three frames: topic (`state/<session>`, or `status`), type, payload. ZeroMQ drops for a subscriber that does not
keep up, without a word: `seq` counts each session's states, so a subscriber sees the gap.
"""

from pipeline import endpoints
from pipeline.codec import encode, encode_json, type_name
from pipeline.ingress import Requests
from pipeline.messages import LLMResponse, Message, SurgeryState
from pipeline.sockets import Socket, receive_now

STATUS_TOPIC = b"status"
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
        self.encode = encode_json if as_json else encode
        self._status: tuple[bytes, ...] | None = None
        self._waiting: list[tuple[bytes, ...]] = []
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

    def flush(self) -> None:
        """Hand out what waits; never blocks."""
        for frames in self._waiting:
            self.socket.send_multipart(frames)
        self._waiting.clear()

    def on_readable(self) -> None:
        """Take subscriptions."""
        came = False
        while (frames := receive_now(self.socket)) is not None:
            came |= frames[0].startswith(b"\x01")
        if came and self._status is not None:
            self.socket.send_multipart(self._status)


class Answers:
    """The request socket as a sink for LLMResponse."""

    encode = staticmethod(encode)

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def send(self, message: Message, payload: bytes) -> None:
        """Answer whoever asked; never blocks."""
        assert isinstance(message, LLMResponse)
        self._requests.answer(message)

    def flush(self) -> None:
        """Nothing waits."""
