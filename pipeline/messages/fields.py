"""What messages are made of: the base of all of them, and the bounds of their fields. Used by all processes."""

import math
import re
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

# Patterns end in \Z: a $ would let a newline through behind the id.
Name = Annotated[str, Meta(max_length=64)]
SessionId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+\Z")]
RequestId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+\Z")]
MachineId = Annotated[str, Meta(pattern=r"^M[0-9]{2}\Z")]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Meta(ge=0.0)]
Line = Annotated[str, Meta(max_length=4000)]
Context = Annotated[str, Meta(max_length=20_000)]
Action = Literal["ON", "OFF", "STANDBY"]
MachineLists = dict[Literal["0", "1"], Annotated[list[MachineId], Meta(max_length=99)]]

Outcome = Literal[
    "ok",
    "parse_failed",  # no JSON object in the model's text
    "truncated",  # the model's text was cut off: it reached the limit of tokens before it was whole
    "schema_failed",  # an object, but not a state of this surgery
    "unsafe",  # a text in it reads as control, an interface or a clinical order
    "timeout",  # no answer before the deadline
    "model_unavailable",  # loading, missing or failed to load
    "stage_crashed",  # the inference process died with this job, or is down
    "expired",  # an answer to a question that no longer stands
    "rejected",  # a request that was not accepted: what it asks for does not exist
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

ModelState = Literal["loading", "ready", "unavailable", "down"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def check_text(**texts: str) -> None:
    """Raises ValueError for a character that no text may have."""
    for name, text in texts.items():
        if found := _CONTROL.search(text):
            code = f"U+{ord(found.group()):04X}"
            raise ValueError(f"{name} has the control character {code} at position {found.start()}; remove it")


def check_finite(name: str, value: float) -> None:
    """Raises ValueError for infinities and what is no number."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; give a finite number")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all messages have in common: a tag, keyword arguments, no assignment."""
