"""Messages from outside: frames of JSON or MessagePack into `decode_input`."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import as_json, as_msgpack, values
from pipeline.codec import AnyInput, decode_input, encode, encode_json
from pipeline.confirmed import Confirmations
from pipeline.errors import Rejected
from pipeline.messages import LLMRequest

MAX_BYTES: Final = 262_144
NEXT_FRAME: Final = b"\n--\n"  # between the frames of an input


def make(folder: Path) -> Check:
    return check


def check(data: bytes) -> None:
    """A message is refused with a reason, or says the same in both encodings and has no number that is none."""
    frames = data.split(NEXT_FRAME)
    with suppress(Rejected):
        confirmations = Confirmations()
        taken = confirmations.take([b"client"], frames[0])
        if len(confirmations.answers()) != 1:
            raise Unvalidated(f"a numbered message without an answer; taken: {taken}")
    try:
        message = decode_input(frames, MAX_BYTES)
    except Rejected as error:
        if not error.reason or not str(error):
            raise Unvalidated("refused without a reason") from error
        return
    for again in (encode(message), encode_json(message)):
        if decode_input([again], 8 * MAX_BYTES) != message:
            raise Unvalidated(f"says something else when it is encoded again: {message}")
    look_through(msgspec.to_builtins(message))


def look_through(value: Any) -> None:
    """Raises Unvalidated for a number or a character that no message may have."""
    if isinstance(value, dict):
        for inner in value.values():
            look_through(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            look_through(inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Unvalidated(f"a number that is none: {value}")
    elif isinstance(value, str) and ("\x00" in value or "\x1b" in value):
        raise Unvalidated(f"a control character in {value!r}")


_MESSAGES: Final = values(AnyInput | LLMRequest)
_PAYLOADS: Final = st.one_of(_MESSAGES.map(as_json), _MESSAGES.map(as_msgpack))
_TYPES: Final = st.sampled_from([kind.__name__.encode() for kind in (*AnyInput.__args__, LLMRequest)]) | st.binary()

TARGET: Final = Target("codec", make, st.one_of(_PAYLOADS, st.tuples(_TYPES, _PAYLOADS).map(NEXT_FRAME.join)))
