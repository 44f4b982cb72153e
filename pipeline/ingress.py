"""Where messages come in from outside: publishers' PUB sockets and clients' requests. Runs in the prompt process."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import zmq

from pipeline import endpoints
from pipeline.codec import decode_input, encode, encode_json, is_json, payload_of
from pipeline.confirmed import Confirmations, is_numbered
from pipeline.errors import UNDECODABLE, Rejected
from pipeline.messages import Describe, Description, Input, LLMRequest, LLMResponse
from pipeline.sockets import Socket, receive_now

HARD_LIMIT = 8  # times max_message_bytes: above, ZeroMQ cuts the peer off; between, it is a dead letter
_describe = msgspec.json.Decoder(Describe)
_describe_msgpack = msgspec.msgpack.Decoder(Describe)


class Arrival(NamedTuple):
    """A message from outside: the raw payload, and what it says."""

    payload: bytes
    message: Input | LLMRequest


class Subscription:
    """A SUB socket that connects to publishers and is bound for those who connect to us.

    `keys`: where `connect` and `bind` were set, for the ConfigError that a wrong one raises. `door`: see Door.
    """

    name = "ingress"

    def __init__(
        self,
        socket: Socket,
        connect: Iterable[str],
        bind: str,
        max_bytes: int,
        keys: tuple[str, str] = ("ingress.connect", "ingress.bind"),
        door: endpoints.Door = endpoints,
    ) -> None:
        self.socket = socket
        self._max_bytes = max_bytes
        for endpoint in connect:
            door.connect(socket, endpoint, keys[0])
        if bind:
            door.bind(socket, bind, keys[1])
        socket.setsockopt(zmq.SUBSCRIBE, b"")

    def receive(self) -> Arrival | None:
        """The next message, or None if there is none now. Raises Rejected for what is no input."""
        frames = receive_now(self.socket)
        if frames is None:
            return None
        message = decode_input(frames, self._max_bytes)
        return Arrival(payload_of(frames), message)

    def confirm(self) -> None:
        """Nothing: a publisher hears nothing back."""


class Requests:
    """A ROUTER socket: clients ask with DEALER or REQ, or publish so that each message is confirmed."""

    name = "requests"
    ROUTES = 8192

    def __init__(
        self,
        socket: Socket,
        bind: str,
        max_bytes: int,
        description: Description,
        door: endpoints.Door = endpoints,
    ) -> None:
        self.socket = socket
        self._max_bytes = max_bytes
        self._description = description
        self._routes: OrderedDict[str, tuple[list[bytes], bool]] = OrderedDict()
        self._confirmations = Confirmations()
        self.counters: Counter[str] = Counter()
        door.bind(socket, bind, "ingress.requests")

    def receive(self) -> Arrival | None:
        """The next request or numbered input, or None if there is none now. Raises Rejected for what is neither."""
        while (frames := receive_now(self.socket)) is not None:
            envelope = frames[: 2 if len(frames) > 2 and not frames[1] else 1]  # REQ sends an empty frame
            body = frames[len(envelope) :]
            if body and is_numbered(body[0]):
                if self._confirmations.take(envelope, body[0]):
                    return self._numbered(body[1:])
                continue
            if body and self._describe(envelope, payload_of(body)):
                continue
            message = decode_input(body, self._max_bytes)
            if not isinstance(message, LLMRequest):
                raise Rejected(
                    "not_a_request",
                    f"a {type(message).__name__} without a number: send it as numbered, or publish it",
                )
            payload = payload_of(body)
            self._routes[message.request_id] = (envelope, is_json(payload))
            self._routes.move_to_end(message.request_id)
            while len(self._routes) > self.ROUTES:
                self._routes.popitem(last=False)
            return Arrival(payload, message)
        return None

    def confirm(self) -> None:
        """Tell the clients what of theirs is in the journal, and what is missing."""
        for frames in self._confirmations.answers():
            self._send(frames)

    def answer(self, response: LLMResponse) -> None:
        """Send an answer to whoever asked last under its id, in the encoding of the question."""
        route = self._routes.pop(response.request_id, None)
        if route is None:
            self.counters["dropped.answer_without_asker"] += 1
            return
        envelope, as_json = route
        self._send([*envelope, b"LLMResponse", encode_json(response) if as_json else encode(response)])
        self.counters["requests.answers"] += 1

    def _numbered(self, frames: list[bytes]) -> Arrival:
        message = decode_input(frames[:1], self._max_bytes)
        if not isinstance(message, Input):
            raise Rejected("bad_message", f"a {type(message).__name__} with a number; send it without one", frames[0])
        return Arrival(frames[0], message)

    def _describe(self, envelope: list[bytes], payload: bytes) -> bool:
        if len(payload) > 200:
            return False
        as_json = is_json(payload)
        try:
            (_describe if as_json else _describe_msgpack).decode(payload)
        except UNDECODABLE:
            return False
        answer = encode_json(self._description) if as_json else encode(self._description)
        self._send([*envelope, b"Description", answer])
        return True

    def _send(self, frames: list[bytes]) -> None:
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError:  # the asker is gone or does not read: it may ask again under the same id
            self.counters["dropped.answer_unreachable"] += 1
