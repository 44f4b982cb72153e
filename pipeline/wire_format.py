"""What a client sends and receives, as frames: the same for the blocking and the asyncio client."""

from collections.abc import Sequence

import msgspec

from pipeline.codec import encode, type_name
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.messages import Describe, Description, LLMResponse, Message, Status, SurgeryState

_outputs_json: msgspec.json.Decoder[SurgeryState | Status] = msgspec.json.Decoder(SurgeryState | Status)
_outputs_msgpack: msgspec.msgpack.Decoder[SurgeryState | Status] = msgspec.msgpack.Decoder(SurgeryState | Status)
_answers: msgspec.msgpack.Decoder[LLMResponse | Description] = msgspec.msgpack.Decoder(LLMResponse | Description)

DESCRIBE = (b"Describe", encode(Describe()))


def frames_of(message: Message) -> tuple[bytes, bytes]:
    """[type, payload]."""
    return type_name(message).encode(), encode(message)


def read_output(frames: Sequence[bytes]) -> SurgeryState | Status:
    """What came by a subscription: [topic, type, payload]. Raises OrstateError if it is of another version."""
    payload = frames[-1]
    try:
        return (_outputs_json if payload[:1] == b"{" else _outputs_msgpack).decode(payload)
    except UNDECODABLE as error:
        raise OrstateError(f"{frames[0]!r}: not a message of this version: {error}") from error


def read_answer(frames: Sequence[bytes]) -> LLMResponse | Description:
    """What came from the request endpoint. Raises OrstateError if it is of another version."""
    try:
        return _answers.decode(frames[-1])
    except UNDECODABLE as error:
        raise OrstateError(f"{frames[0]!r}: not a message of this version: {error}") from error


class StateReader:
    """What one subscriber makes of the frames it gets: states of its session, gaps, the newest status."""

    def __init__(self, session: str | None) -> None:
        self._session = session
        self._seen: dict[str, int] = {}
        self.gaps = 0  # states that ZeroMQ dropped because this subscriber was too slow
        self.status: Status | None = None

    @property
    def topics(self) -> tuple[bytes, ...]:
        """What to subscribe to."""
        return f"state/{self._session or ''}".encode(), b"status"

    @property
    def finished(self) -> bool:
        """The pipeline has said that nothing more will come."""
        return self.status is not None and self.status.final

    def take(self, frames: Sequence[bytes]) -> SurgeryState | None:
        """The state in the frames, if it is one for this subscriber."""
        message = read_output(frames)
        if isinstance(message, Status):
            self.status = message
            return None
        if self._session not in (None, message.session):
            return None  # a topic is a prefix: that of or1 is also one of or10
        self.gaps += max(0, message.seq - self._seen.get(message.session, message.seq - 1) - 1)
        self._seen[message.session] = message.seq
        return message
