"""Rings for pixels: a video process writes a frame once, and only its descriptor travels.

The supervisor creates the rings; each video process claims one by a lock that ends with it; the prompt process
reads in place and says when it needs a frame no more. Nobody waits for anybody: the next frame takes the slot that
became free last, because it is still in the processor's cache, and where none is free the oldest frame is
overwritten, which its reader notices by the generation.
"""

import fcntl
import math
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import OrstateError
from pipeline.messages import FrameRef
from pipeline.ring import Overwritten, Ring
from pipeline.segment import Segment


class FrameWriter:
    """The end of a video process. Raises OrstateError if every ring is taken."""

    def __init__(self, rings: Iterable[str]) -> None:
        names = list(rings)
        self._ring = self._claim(names)
        self._slots = list(range(self._ring.slots))  # the one that was written last stands last
        self._form: FrameRef | None = None  # of the frame before: those of a video are all alike

    def write(self, frame: NDArray[Any]) -> FrameRef:
        """Copy an array (1 to 4 dimensions; uint8, uint16, float16 or float32) into a slot.

        Raises OrstateError for another shape or type, and for a frame larger than a slot.
        """
        dtype = frame.dtype.name  # not the type itself, for the array may have the other byte order
        form = self._form
        if form is None or form.shape != frame.shape or form.dtype != dtype:
            form = self._form = self._describe(frame, dtype)
        slot = self._take_slot()
        self._ring.begin(slot)
        target = np.frombuffer(self._ring.view(slot, frame.nbytes), form.dtype).reshape(frame.shape)
        np.copyto(target, frame)
        return msgspec.structs.replace(form, slot=slot, generation=self._ring.commit(slot))

    def close(self) -> None:
        """Let the ring go. Once more is no error."""
        self._ring.segment.close()

    def _take_slot(self) -> int:
        """Of the free slots the one that was written last, or the slot with the oldest frame."""
        slot = next((slot for slot in reversed(self._slots) if self._ring.is_free(slot)), self._slots[0])
        self._slots.remove(slot)
        self._slots.append(slot)
        return slot

    def _describe(self, frame: NDArray[Any], dtype: str) -> FrameRef:
        fields = {
            "ring": self._ring.segment.name,
            "slot": 0,
            "generation": 0,
            "shape": frame.shape,
            "dtype": dtype,
        }
        try:
            form = msgspec.convert(fields, FrameRef)
        except msgspec.ValidationError as error:
            raise OrstateError(f"a frame of shape {frame.shape} and type {dtype} cannot be sent: {error}") from error
        if frame.nbytes > self._ring.slot_bytes:
            raise OrstateError(
                f"a frame of shape {frame.shape} has {frame.nbytes:,} bytes and a slot {self._ring.slot_bytes:,}; "
                "raise frames.slot_bytes"
            )
        return form

    def _claim(self, names: list[str]) -> Ring:
        for name in names:
            segment = Segment.attach(name)
            try:
                fcntl.flock(segment.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                segment.close()
                continue
            return Ring(segment)
        raise OrstateError(
            f"all {len(names)} frame rings are taken by other video processes; raise frames.rings in the configuration"
        )


class FrameReader:
    """The end of the prompt process: pixels in place, without a copy."""

    def __init__(self, rings: Iterable[str]) -> None:
        self._rings = {name: Ring(Segment.attach(name)) for name in rings}

    def view(self, ref: FrameRef) -> NDArray[Any]:
        """The pixels in place, as an array of the descriptor's shape; `check` it again after use.

        Raises Overwritten if the slot was written since, OrstateError if the descriptor fits no ring.
        """
        ring = self._ring(ref)
        ring.check(ref.slot, ref.generation)
        dtype = np.dtype(ref.dtype)
        length = math.prod(ref.shape) * dtype.itemsize
        return np.frombuffer(ring.view(ref.slot, length), dtype).reshape(ref.shape)

    def check(self, ref: FrameRef) -> None:
        """Raises Overwritten if the slot was written since."""
        self._ring(ref).check(ref.slot, ref.generation)

    def release(self, ref: FrameRef) -> None:
        """The pixels are needed no more: their slot is the first to be written again."""
        self._ring(ref).release(ref.slot, ref.generation)

    def close(self) -> None:
        """Let the rings go."""
        for ring in self._rings.values():
            ring.segment.close()

    def _ring(self, ref: FrameRef) -> Ring:
        if ref.ring not in self._rings:
            known = ", ".join(self._rings) or "none"
            raise OrstateError(f"no frame ring {ref.ring!r}; the rings are: {known}")
        return self._rings[ref.ring]


__all__ = ["FrameReader", "FrameWriter", "Overwritten"]
