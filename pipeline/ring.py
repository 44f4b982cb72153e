"""Slots in shared memory, each with a generation. Used by queues (payloads) and by frame rings (pixels).

A slot's generation is odd while it is being written and even when it is whole, and it only grows; a reader who
finds the generation it was told, before and after reading, has read what was written. A reader who needs a slot no
more may say so beside it: the writer can then take the slot again that is still in its cache.

    segment: [slots u64, slot_bytes u64, 48 bytes unused] then for each slot:
             [generation u64, released generation u64, 48 bytes unused] and the payload
"""

import struct

from pipeline.errors import OrstateError
from pipeline.segment import Segment

HEADER = 64  # a cache line, for the segment and for each slot
_SHAPE = struct.Struct("<QQ")
_GENERATION = struct.Struct("<Q")
_RELEASED = _GENERATION.size  # where in a slot's header


class Overwritten(OrstateError):
    """The slot holds another generation than the one asked for."""


def ring_size(slots: int, slot_bytes: int) -> int:
    """Bytes that a segment needs for a ring."""
    return HEADER + slots * (HEADER + _aligned(slot_bytes))


class Ring:
    """Slots over a segment. One process writes a slot at a time; who, is decided outside."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.slots: int
        self.slot_bytes: int
        self.slots, self.slot_bytes = _SHAPE.unpack_from(segment.memory, 0)
        self._stride = HEADER + _aligned(self.slot_bytes)
        if self.slots < 1 or ring_size(self.slots, self.slot_bytes) > len(segment.memory):
            raise OrstateError(f"{segment.name}: no ring: {self.slots} slots of {self.slot_bytes} bytes")

    @classmethod
    def create(cls, name: str, slots: int, slot_bytes: int) -> "Ring":
        """A new ring in a new segment. Raises OrstateError if there is not enough shared memory."""
        segment = Segment.create(name, ring_size(slots, slot_bytes))
        _SHAPE.pack_into(segment.memory, 0, slots, slot_bytes)
        return cls(segment)

    def generation(self, slot: int) -> int:
        """The slot's generation now. Raises OrstateError for a slot that the ring does not have."""
        if not 0 <= slot < self.slots:
            raise OrstateError(f"{self.segment.name}: slot {slot} of {self.slots}")
        value: int = _GENERATION.unpack_from(self.segment.memory, self._at(slot))[0]
        return value

    def begin(self, slot: int) -> None:
        """Mark the slot as being written. A writer that died in the middle left it odd: it is odd again."""
        _GENERATION.pack_into(self.segment.memory, self._at(slot), (self.generation(slot) + 1) | 1)

    def commit(self, slot: int) -> int:
        """Mark the slot as whole; its generation."""
        generation = self.generation(slot) + 1
        _GENERATION.pack_into(self.segment.memory, self._at(slot), generation)
        return generation

    def release(self, slot: int, generation: int) -> None:
        """The reader says that it needs that generation of the slot no more."""
        _GENERATION.pack_into(self.segment.memory, self._at(slot) + _RELEASED, generation)

    def is_free(self, slot: int) -> bool:
        """Whether the slot was never written, or its reader needs it no more. What a writer left half is not free."""
        released: int = _GENERATION.unpack_from(self.segment.memory, self._at(slot) + _RELEASED)[0]
        return released == self.generation(slot)

    def write(self, slot: int, payload: bytes) -> int:
        """Copy `payload` into the slot; its generation. An empty payload only takes a new generation."""
        self.begin(slot)
        if payload:
            start = self._at(slot) + HEADER
            self.segment.memory[start : start + len(payload)] = payload
        return self.commit(slot)

    def read(self, slot: int, generation: int, length: int) -> bytes:
        """A copy of the slot's first `length` bytes. Raises Overwritten."""
        self.check(slot, generation)
        start = self._at(slot) + HEADER
        payload = self.segment.memory[start : start + min(length, self.slot_bytes)]
        self.check(slot, generation)
        return payload

    def view(self, slot: int, length: int) -> memoryview:
        """The slot's first `length` bytes in place; check the generation before and after use."""
        if not 0 <= length <= self.slot_bytes:
            raise OrstateError(f"{self.segment.name}: {length:,} bytes and a slot has {self.slot_bytes:,}")
        start = self._at(slot) + HEADER
        return memoryview(self.segment.memory)[start : start + length]

    def check(self, slot: int, generation: int) -> None:
        """Raises Overwritten unless the slot holds just that generation, whole."""
        if (found := self.generation(slot)) != generation or generation % 2:
            raise Overwritten(
                f"{self.segment.name}: slot {slot} holds generation {found}, not {generation}: it was overwritten"
            )

    def _at(self, slot: int) -> int:
        return HEADER + slot * self._stride


def _aligned(size: int) -> int:
    return -(-size // HEADER) * HEADER
