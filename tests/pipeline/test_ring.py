"""Slots and generations."""

import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OrstateError
from pipeline.ring import HEADER, Overwritten, Ring, ring_size
from pipeline.segment import Segment, segment_name

NAME = segment_name(os.getpid(), "ring-test")


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(NAME, 3, 100)
    yield made
    made.segment.close()
    made.segment.unlink()


def test_what_is_written_is_read_back_by_its_generation(ring: Ring) -> None:
    first, second = ring.write(0, b"one"), ring.write(2, b"x" * 100)
    assert ring.read(0, first, 3) == b"one"
    assert ring.read(2, second, 100) == b"x" * 100


def test_a_generation_is_odd_while_a_slot_is_written_and_even_when_it_is_whole(ring: Ring) -> None:
    seen = []
    for _ in range(3):
        ring.begin(1)
        seen.append(ring.generation(1))
        seen.append(ring.commit(1))
    assert [generation % 2 for generation in seen] == [1, 0] * 3
    assert seen == sorted(set(seen))


def test_a_slot_left_half_written_is_begun_again_with_a_newer_odd_generation(ring: Ring) -> None:
    ring.begin(0)
    left = ring.generation(0)
    generation = ring.write(0, b"again")
    assert generation > left
    assert generation % 2 == 0
    assert ring.read(0, generation, 5) == b"again"


def test_a_slot_is_free_before_it_is_written_and_when_its_reader_needs_it_no_more(ring: Ring) -> None:
    assert ring.is_free(1)
    generation = ring.write(1, b"one")
    assert not ring.is_free(1)
    ring.release(1, generation)
    assert ring.is_free(1)
    assert ring.read(1, generation, 3) == b"one"
    ring.begin(1)
    assert not ring.is_free(1)
    ring.commit(1)
    ring.release(1, generation)
    assert not ring.is_free(1)


def test_a_slot_that_was_written_since_is_overwritten(ring: Ring) -> None:
    old = ring.write(0, b"old")
    new = ring.write(0, b"new")
    with pytest.raises(Overwritten, match=f"{NAME}: slot 0 holds generation {new}, not {old}"):
        ring.read(0, old, 3)


def test_a_slot_that_is_being_written_cannot_be_read(ring: Ring) -> None:
    whole = ring.write(0, b"whole")
    ring.begin(0)
    for generation in (whole, ring.generation(0)):
        with pytest.raises(Overwritten):
            ring.read(0, generation, 5)


def test_an_empty_payload_takes_a_new_generation_and_leaves_the_bytes(ring: Ring) -> None:
    first = ring.write(0, b"bytes")
    second = ring.write(0, b"")
    assert second > first
    assert ring.read(0, second, 5) == b"bytes"


def test_a_view_is_the_slot_itself(ring: Ring) -> None:
    view = ring.view(1, 4)
    view[:] = b"abcd"
    assert ring.read(1, ring.write(1, b""), 4) == b"abcd"
    view.release()


@pytest.mark.parametrize("slot", [-1, 3, 65_535])
def test_a_slot_that_the_ring_does_not_have_is_refused(ring: Ring, slot: int) -> None:
    with pytest.raises(OrstateError, match=f"{NAME}: slot {slot} of 3"):
        ring.check(slot, 2)


def test_a_view_longer_than_a_slot_is_refused(ring: Ring) -> None:
    with pytest.raises(OrstateError, match="101 bytes and a slot has 100"):
        ring.view(0, 101)


def test_an_attached_ring_has_the_shape_it_was_made_with(ring: Ring) -> None:
    generation = ring.write(2, b"shared")
    attached = Ring(Segment.attach(NAME))
    assert (attached.slots, attached.slot_bytes) == (3, 100)
    assert attached.read(2, generation, 6) == b"shared"
    attached.segment.close()


@pytest.mark.parametrize(("slots", "slot_bytes"), [(0, 0), (4, 100), (1, 2**40)])
def test_a_segment_that_holds_no_ring_is_refused(ring: Ring, slots: int, slot_bytes: int) -> None:
    struct.pack_into("<QQ", ring.segment.memory, 0, slots, slot_bytes)
    with pytest.raises(OrstateError, match=f"{NAME}: no ring"):
        Ring(ring.segment)


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=70)), max_size=30), st.integers(1, 70))
def test_every_slot_keeps_its_newest_payload_and_no_slot_touches_another(
    writes: list[tuple[int, bytes]], slot_bytes: int
) -> None:
    ring = Ring.create(f"{NAME}-property", 4, slot_bytes)
    try:
        newest: dict[int, tuple[int, bytes]] = {}
        for slot, payload in writes:
            newest[slot] = (ring.write(slot, payload[:slot_bytes]), payload[:slot_bytes])
        for slot, (generation, payload) in newest.items():
            assert ring.read(slot, generation, len(payload)) == payload
        assert len(ring.segment.memory) == ring_size(4, slot_bytes)
        assert ring_size(4, slot_bytes) % HEADER == 0
    finally:
        ring.segment.close()
        ring.segment.unlink()
