"""What our own processes say to each other: jobs, answers and verdicts, control messages, frames of the queues."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import zmq
from hypothesis import strategies as st

from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import as_msgpack, values
from pipeline import control, queue
from pipeline.codec import decode_inner, encode
from pipeline.errors import UNDECODABLE
from pipeline.messages import Cancel, Completion, ModelChanged, PromptJob, RuleOutcome, Verdict
from pipeline.ring import Ring
from pipeline.segment import Segment
from pipeline.sockets import Socket

_READERS: Final[tuple[Callable[[bytes], Any], ...]] = (
    decode_inner,
    control.FROM_STAGE.decode,
    control.TO_STAGE.decode,
)
_SLOTS, _SLOT_BYTES = 4, 64


def make(folder: Path) -> Check:
    hop = _Hop()

    def check(data: bytes) -> None:
        """What is no message of ours raises one of UNDECODABLE; what is one says the same when encoded again."""
        kind, payload = data[:1], data[1:]
        if kind == b"Q":
            hop.take(payload)
            return
        read = _READERS[ord(kind or b"\0") % len(_READERS)]
        try:
            message = read(payload)
        except UNDECODABLE:
            return
        again = encode(message)
        if encode(read(again)) != again:
            raise Unvalidated(f"says something else when it is encoded again: {message}")

    return check


class _Wire:
    """A socket's receiving end: frames that have come."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()

    def getsockopt(self, option: int) -> int:
        return int(zmq.POLLIN) if self.frames else 0

    def recv(self, flags: int) -> bytes:
        return self.frames.popleft()

    def send(self, frame: bytes, flags: int) -> None:
        if len(frame) > 1 << 16:
            raise Unvalidated(f"{len(frame)} bytes sent back for what was received")


class _Memory:
    """A ring's memory without a segment, which would outlive a crash."""

    name = "fuzz"

    def __init__(self) -> None:
        self.memory = bytearray(4096)
        self.memory[:16] = _SLOTS.to_bytes(8, "little") + _SLOT_BYTES.to_bytes(8, "little")


class _Hop:
    """The receiving end of a queue, with what it was sent."""

    def __init__(self) -> None:
        self._wire = _Wire()
        self._ring = Ring(cast(Segment, _Memory()))
        self._receiver = self._new()

    def _new(self) -> queue.Receiver:
        receiver = queue.Receiver("fuzz", cast(Socket, self._wire), self._ring)
        self._wire.frames.append(msgspec.msgpack.encode(queue.Attach(1)))
        receiver.receive()
        return receiver

    def take(self, frame: bytes) -> None:
        """One frame. Whatever it says, no more is held than there are slots."""
        self._wire.frames.append(frame)
        while (delivery := self._receiver.receive()) is not None:
            self._receiver.release(delivery.slot, delivery.generation)
        self._receiver.flush()
        if self._receiver.depth > _SLOTS:
            raise Unvalidated(f"{self._receiver.depth} messages are held, and there are {_SLOTS} slots")
        if self._receiver.repeated > 1000:
            self._receiver = self._new()


_INNER: Final = values(PromptJob | Cancel | RuleOutcome | Completion | Verdict)
_CONTROL: Final = (
    values(control.Hello | control.Ready | ModelChanged | control.Report | control.Notice | control.Drained),
    values(control.Welcome | control.Peer | ModelChanged | control.Publish | control.Drain | control.Stop),
)
_FRAMES: Final = values(queue.Data | queue.Released | queue.Attach | queue.Held | queue.End)

TARGET: Final = Target(
    "inner",
    make,
    st.one_of(
        _INNER.map(lambda value: b"\x00" + as_msgpack(value)),
        _CONTROL[0].map(lambda value: b"\x01" + as_msgpack(value)),
        _CONTROL[1].map(lambda value: b"\x02" + as_msgpack(value)),
        _FRAMES.map(lambda value: b"Q" + as_msgpack(value)),
    ),
)
