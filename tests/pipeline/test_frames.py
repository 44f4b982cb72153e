"""Pixels in shared memory: claims, bytes, and what is said when something does not fit."""

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from frames_children import claim_until_killed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.errors import OrstateError
from pipeline.frames import FrameReader, FrameWriter, Overwritten
from pipeline.messages import FrameRef
from pipeline.ring import Ring
from pipeline.segment import segment_name

SLOTS = 3
RINGS = [segment_name(os.getpid(), f"frames-test{n}") for n in range(2)]
_spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def rings() -> Iterator[list[str]]:
    made = [Ring.create(name, SLOTS, 4096) for name in RINGS]
    yield RINGS
    for ring in made:
        ring.segment.close()
        ring.segment.unlink()


@pytest.fixture
def writer(rings: list[str]) -> Iterator[FrameWriter]:
    claimed = FrameWriter(rings)
    yield claimed
    claimed.close()


@pytest.fixture
def reader(rings: list[str]) -> Iterator[FrameReader]:
    attached = FrameReader(rings)
    yield attached
    attached.close()


def pixels(*shape: int, first: int = 0) -> NDArray[np.uint8]:
    """A picture in which every pixel differs from its neighbour."""
    return ((np.arange(np.prod(shape)) + first) % 251).astype(np.uint8).reshape(shape)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("shape", [(5,), (4, 6), (4, 6, 3), (2, 2, 3, 4)])
def test_a_frame_is_read_as_it_was_written(
    writer: FrameWriter, reader: FrameReader, dtype: str, shape: tuple[int, ...]
) -> None:
    frame = pixels(*shape).astype(dtype)
    ref = writer.write(frame)
    seen = reader.view(ref)
    assert (seen.dtype, seen.shape) == (np.dtype(dtype), shape)
    assert np.array_equal(seen, frame)
    reader.check(ref)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ref), type=FrameRef) == ref


def test_the_view_is_the_shared_memory_itself(writer: FrameWriter, reader: FrameReader) -> None:
    ref = writer.write(pixels(4, 4))
    first, second = reader.view(ref), reader.view(ref)
    assert not first.flags.owndata
    assert np.shares_memory(first, second)


@pytest.mark.parametrize(
    "frame",
    [
        pixels(8, 8, 3)[:, ::2],
        pixels(8, 8, 3).transpose(1, 0, 2),
        pixels(8, 8)[::-1],
        pixels(8, 8).astype(">u2"),
        np.asfortranarray(pixels(8, 8)),
    ],
    ids=["strided", "transposed", "mirrored", "big-endian", "column order"],
)
def test_an_array_that_lies_otherwise_in_memory_is_written_in_order(
    writer: FrameWriter, reader: FrameReader, frame: NDArray[Any]
) -> None:
    assert np.array_equal(reader.view(writer.write(frame)), frame)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 4096), min_size=1, max_size=12))
def test_the_newest_frames_are_whole_and_older_ones_are_known_as_overwritten(
    writer: FrameWriter, reader: FrameReader, lengths: list[int]
) -> None:
    refs = [writer.write(pixels(length, first=number)) for number, length in enumerate(lengths)]
    for number, (ref, length) in enumerate(zip(refs, lengths, strict=True)):
        if number >= len(refs) - SLOTS:
            assert np.array_equal(reader.view(ref), pixels(length, first=number))
        else:
            with pytest.raises(Overwritten):
                reader.view(ref)


def test_a_frame_overwritten_while_it_is_used_is_noticed_by_the_check(writer: FrameWriter, reader: FrameReader) -> None:
    ref = writer.write(pixels(4, 4))
    seen = reader.view(ref)
    for _ in range(SLOTS):
        writer.write(pixels(4, 4, first=9))
    assert np.array_equal(seen, pixels(4, 4, first=9))
    with pytest.raises(Overwritten, match=f"{ref.ring}: slot {ref.slot} holds generation"):
        reader.check(ref)


def test_a_frame_that_is_needed_no_more_gives_its_slot_to_the_next(writer: FrameWriter, reader: FrameReader) -> None:
    kept = [writer.write(pixels(4, first=number)) for number in range(SLOTS - 1)]
    slots = set()
    for number in range(3 * SLOTS):
        ref = writer.write(pixels(4, first=100 + number))
        assert np.array_equal(reader.view(ref), pixels(4, first=100 + number))
        reader.release(ref)
        slots.add(ref.slot)
    assert len(slots) == 1
    for number, ref in enumerate(kept):
        assert np.array_equal(reader.view(ref), pixels(4, first=number))


def test_of_the_slots_that_are_free_the_one_written_last_is_taken(writer: FrameWriter, reader: FrameReader) -> None:
    first, second, third = (writer.write(pixels(4)) for _ in range(SLOTS))
    reader.release(second)
    reader.release(first)
    assert [writer.write(pixels(4)).slot for _ in range(SLOTS)] == [second.slot, first.slot, third.slot]


def test_a_release_that_comes_after_the_slot_was_overwritten_frees_nothing(
    writer: FrameWriter, reader: FrameReader
) -> None:
    old = writer.write(pixels(4))
    newer = [writer.write(pixels(4, first=number)) for number in range(SLOTS)]
    reader.release(old)
    assert writer.write(pixels(4)).slot == newer[0].slot


def test_frames_of_changing_shape_and_type_are_described_each_as_it_is(
    writer: FrameWriter, reader: FrameReader
) -> None:
    for frame in (pixels(4, 4), pixels(4, 4), pixels(2, 8), pixels(2, 8).astype("float32")):
        seen = reader.view(writer.write(frame))
        assert (seen.shape, seen.dtype) == (frame.shape, frame.dtype)
        assert np.array_equal(seen, frame)


def test_a_frame_larger_than_a_slot_is_refused_with_the_key_to_raise(writer: FrameWriter) -> None:
    assert writer.write(pixels(4096)).shape == (4096,)
    with pytest.raises(
        OrstateError, match=r"shape \(4097,\) has 4,097 bytes and a slot 4,096; raise frames.slot_bytes"
    ):
        writer.write(pixels(4097))


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (np.zeros((2, 2), np.float64), r"type float64 cannot be sent: Invalid enum value 'float64' - at `\$.dtype`"),
        (np.zeros((2, 2), np.bool_), "type bool cannot be sent"),
        (np.array([{}, {}]), "type object cannot be sent"),
        (np.array(["text"]), "type str.* cannot be sent"),
        (np.zeros((), np.uint8), r"shape \(\) .* cannot be sent: .*length >= 1"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\) .* cannot be sent: .* >= 1"),
        (np.zeros((1, 1, 1, 1, 1), np.uint8), r"shape \(1, 1, 1, 1, 1\) .* cannot be sent: .*length <= 4"),
    ],
)
def test_a_frame_of_another_type_or_shape_is_refused_and_takes_no_slot(
    writer: FrameWriter, reader: FrameReader, frame: NDArray[Any], what: str
) -> None:
    before = writer.write(pixels(1, first=7))
    for _ in range(SLOTS - 1):
        with pytest.raises(OrstateError, match=what):
            writer.write(frame)
        writer.write(pixels(1))
    assert np.array_equal(reader.view(before), pixels(1, first=7))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ring": "elsewhere"}, f"no frame ring 'elsewhere'; the rings are: {RINGS[0]}, {RINGS[1]}"),
        ({"slot": SLOTS}, f"{RINGS[0]}: slot {SLOTS} of {SLOTS}"),
        ({"shape": (65_536, 65_536)}, "4,294,967,296 bytes and a slot has 4,096"),
        ({"generation": 0}, "holds generation 2, not 0"),
    ],
)
def test_a_descriptor_that_fits_no_ring_is_a_clear_error(
    writer: FrameWriter, reader: FrameReader, changes: dict[str, Any], what: str
) -> None:
    ref = msgspec.structs.replace(writer.write(pixels(2, 2)), **changes)
    with pytest.raises(OrstateError, match=what):
        reader.view(ref)


def test_a_second_writer_gets_the_next_ring_and_a_third_is_told_that_all_are_taken(writer: FrameWriter) -> None:
    second = FrameWriter(RINGS)
    assert writer.write(pixels(1)).ring == RINGS[0]
    assert second.write(pixels(1)).ring == RINGS[1]
    with pytest.raises(
        OrstateError, match=r"all 2 frame rings are taken by other video processes; raise frames\.rings"
    ):
        FrameWriter(RINGS)
    second.close()
    second.close()
    third = FrameWriter(RINGS)
    assert third.write(pixels(1)).ring == RINGS[1]
    third.close()


def test_the_ring_of_a_killed_video_process_is_free_again_and_its_generations_go_on(
    rings: list[str], reader: FrameReader
) -> None:
    ours, theirs = _spawn.Pipe()
    child = _spawn.Process(target=claim_until_killed, args=(rings[:1], theirs))
    child.start()
    assert ours.poll(60)
    assert ours.recv() == "claimed"
    with pytest.raises(OrstateError, match="all 1 frame rings are taken"):
        FrameWriter(rings[:1])
    child.kill()
    child.join(60)
    child.close()
    writer = FrameWriter(rings[:1])
    assert np.array_equal(reader.view(writer.write(pixels(9))), pixels(9))
    writer.close()


def test_another_process_is_told_when_the_ring_is_taken(writer: FrameWriter) -> None:
    ours, theirs = _spawn.Pipe()
    child = _spawn.Process(target=claim_until_killed, args=(RINGS[:1], theirs))
    child.start()
    assert ours.poll(60)
    assert "all 1 frame rings are taken" in ours.recv()
    child.join(60)
    child.close()


def test_rings_are_let_go_while_pixels_are_still_looked_at(rings: list[str], writer: FrameWriter) -> None:
    reader = FrameReader(rings)
    seen = reader.view(writer.write(pixels(3)))
    reader.close()
    assert np.array_equal(seen, pixels(3))
