"""Plain logs of JSON lines, into the log of a replay."""

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import JUNK, TEXTS, as_json, values
from pipeline.codec import AnyInput, decode_input, encode
from pipeline.errors import OrstateError, Rejected
from pipeline.log import MAX_BYTES, Header, Log


def make(folder: Path) -> Check:
    file = folder / "log.jsonl"

    def check(data: bytes) -> None:
        """The log is refused as a whole, or all its messages can be sent and its faults are told."""
        file.write_bytes(data)
        try:
            log = Log(file)
        except OrstateError:
            return
        for message in log.messages:
            try:
                if decode_input([encode(message)], MAX_BYTES) != message:
                    raise Unvalidated(f"is sent as another message: {message}")
            except Rejected as error:
                raise Unvalidated(f"a message of the log that cannot be sent: {error}") from error
        if log.duration_s() < 0:
            raise Unvalidated(f"takes {log.duration_s()} s")

    return check


_HEADERS: Final = st.one_of(st.just(b'{"surgery":"PCNL"}'), values(Header).map(as_json))
_SAID: Final = st.fixed_dictionaries(
    {"t": st.floats(0, 100) | JUNK, "text": TEXTS}, optional={"speaker": TEXTS, "more": JUNK}
)
_LINES: Final = st.lists(
    st.one_of(_SAID.map(as_json), values(AnyInput).map(as_json), st.binary(max_size=10)), max_size=6
)

TARGET: Final = Target("lines", make, st.builds(lambda head, lines: b"\n".join((head, *lines)), _HEADERS, _LINES))
