"""Bytes to messages and back. Used by all processes.

What comes from outside is JSON or MessagePack, in one frame (the payload) or two (type, payload); frames behind
the payload are raw buffers and are left alone. What goes between our own processes is MessagePack.
"""

from collections.abc import Sequence

import msgspec

from pipeline.errors import UNDECODABLE, Rejected
from pipeline.messages import (
    Cancel,
    Completion,
    Input,
    LLMRequest,
    Message,
    Observation,
    Override,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Transcript,
    Verdict,
)

AnyInput = SessionStart | SessionEnd | Transcript | Observation | Override
INPUT_TYPES = (SessionStart, SessionEnd, Transcript, Observation, Override)

_encoder = msgspec.msgpack.Encoder()
_json_encoder = msgspec.json.Encoder()
_input_msgpack: msgspec.msgpack.Decoder[Input | LLMRequest] = msgspec.msgpack.Decoder(AnyInput | LLMRequest)
_input_json: msgspec.json.Decoder[Input | LLMRequest] = msgspec.json.Decoder(AnyInput | LLMRequest)
_inner: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(
    PromptJob | Cancel | RuleOutcome | Completion | Verdict
)


def encode(message: msgspec.Struct) -> bytes:
    """MessagePack."""
    return _encoder.encode(message)


def encode_json(message: msgspec.Struct) -> bytes:
    """JSON, one line."""
    return _json_encoder.encode(message)


def type_name(message: msgspec.Struct) -> str:
    """The tag of a message, as in its type frame."""
    return str(message.__struct_config__.tag)


def decode_inner(payload: bytes) -> Message:
    """A message of another stage. Raises one of UNDECODABLE."""
    return _inner.decode(payload)


def payload_of(frames: Sequence[bytes]) -> bytes:
    """The payload of a message from outside: [type, payload, ...] or [payload]."""
    return frames[1] if len(frames) > 1 else frames[0]


def is_json(payload: bytes) -> bool:
    """Whether a payload is JSON; if not it is MessagePack."""
    return payload[:1] in (b"{", b" ", b"\n", b"\t", b"\r")


def decode_input(frames: Sequence[bytes], max_bytes: int) -> Input | LLMRequest:
    """A message of a publisher or client. Raises Rejected with the reason and msgspec's path to the fault."""
    if not frames:
        raise Rejected("bad_message", "a message without frames; send [type, payload] or [payload]")
    payload = payload_of(frames)
    if len(payload) > max_bytes:
        raise Rejected(
            "oversized",
            f"a message of {len(payload):,} bytes; ingress.max_message_bytes is {max_bytes:,}",
            payload,
        )
    decoder = _input_json if is_json(payload) else _input_msgpack
    try:
        message = decoder.decode(payload)
    except UNDECODABLE as error:
        raise Rejected("bad_message", f"{error}; the message begins {_head(payload)}", payload) from error
    if len(frames) > 1 and frames[0] != type_name(message).encode():
        raise Rejected("bad_message", f"type frame {_head(frames[0])} and a payload of {type_name(message)}", payload)
    return message


def _head(payload: bytes) -> str:
    return repr(payload[:60])
