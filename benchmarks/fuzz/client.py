"""What a client reads: states and status by subscription, answers from the request endpoint."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from benchmarks.fuzz.codec import NEXT_FRAME
from benchmarks.fuzz.target import Check, Target
from benchmarks.fuzz.values import as_json, as_msgpack, values
from pipeline.confirmed import Unconfirmed
from pipeline.errors import OrstateError
from pipeline.messages import Description, LLMResponse, Status, SurgeryState
from pipeline.wire_format import StateReader, read_answer


def make(folder: Path) -> Check:
    return check


def check(data: bytes) -> None:
    """Whatever comes is a message, or an OrstateError that says so."""
    frames = data.split(NEXT_FRAME)
    reader = StateReader("a" if len(data) % 2 else None)
    for read in (reader.take, read_answer):
        with suppress(OrstateError):
            read(frames)
    sent = Unconfirmed()
    sent.add(b"a")
    for again in sent.heard(frames[-1]):
        if again[1] != b"a":
            raise AssertionError(f"{again} sent again")
    if reader.gaps < 0:
        raise AssertionError(f"{reader.gaps} gaps")


_OUT: Final = values(SurgeryState | Status)
_BACK: Final = values(LLMResponse | Description)
_TOLD: Final = st.tuples(st.sampled_from((b"Confirmed", b"Resend", b"")), st.integers(-2, 2**70)).map(
    lambda word: word[0] + b" %d" % word[1]
)

TARGET: Final = Target(
    "client",
    make,
    st.tuples(
        st.sampled_from((b"state/a", b"status", b"LLMResponse")),
        st.just(b"SurgeryState"),
        st.one_of(_OUT.map(as_json), _OUT.map(as_msgpack), _BACK.map(as_msgpack), _TOLD),
    ).map(NEXT_FRAME.join),
)
