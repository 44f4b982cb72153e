"""A hop between two ends of one process: credits, bytes, order."""

from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from queue_hop import MakeHop, attach, await_readable, give_back, numbered, pass_all, take, until

from pipeline.queue import BUNDLE, Data, Filled
from pipeline.sockets import has_message

# --- credits ---------------------------------------------------------------------------------------------


def test_a_sender_without_a_free_slot_keeps_a_backlog(make_hop: MakeHop) -> None:
    hop = make_hop(slots=3)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 10):
        sender.send(payload)
        sender.flush()
    assert (sender.depth, sender.backlog) == (3, 7)
    assert [delivery.payload for delivery in take(receiver, 3)] == numbered(0, 3)
    assert receiver.receive() is None


def test_a_release_gives_the_slot_back_and_lets_the_next_message_go(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 4):
        sender.send(payload)
        sender.flush()
    first, second = take(receiver, 2)
    give_back(receiver, [second])
    await_readable(sender.socket)
    sender.on_readable()
    assert (sender.depth, sender.backlog) == (2, 1)
    (third,) = take(receiver, 1)
    assert third.payload == numbered(2, 3)[0]
    assert third.slot == second.slot
    assert third.generation > second.generation
    assert first.slot != second.slot


def test_nothing_is_sent_before_the_receiver_has_said_what_it_holds(make_hop: MakeHop) -> None:
    hop = make_hop(slots=4)
    sender = hop.sender()
    for payload in numbered(0, 3):
        sender.send(payload)
        sender.flush()
    assert (sender.depth, sender.backlog) == (0, 3)
    receiver = hop.receiver()
    attach(sender, receiver)
    assert (sender.depth, sender.backlog) == (3, 0)
    assert pass_all(sender, receiver) == numbered(0, 3)


def test_an_inline_payload_takes_a_slot_too(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2, inline_bytes=64)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in (b"a", b"b", b"c"):
        sender.send(payload)
        sender.flush()
    assert (sender.depth, sender.backlog) == (2, 1)
    assert {delivery.slot for delivery in take(receiver, 2)} == {0, 1}


def test_what_is_sent_before_a_flush_goes_in_one_message_and_in_order(make_hop: MakeHop) -> None:
    hop = make_hop(slots=8)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 5):
        sender.send(payload)
    assert receiver.receive() is None
    sender.flush()
    await_readable(receiver.socket)
    assert [delivery.payload for delivery in iter(receiver.receive, None)] == numbered(0, 5)
    assert not has_message(receiver.socket)
    assert receiver.depth == 5


def test_a_bundle_goes_without_a_flush_when_it_is_full(make_hop: MakeHop) -> None:
    hop = make_hop(slots=BUNDLE + 1)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, BUNDLE + 1):
        sender.send(payload)
    taken = take(receiver, BUNDLE)
    assert [delivery.payload for delivery in taken] == numbered(0, BUNDLE)
    give_back(receiver, taken)
    sender.end()
    assert pass_all(sender, receiver) == numbered(BUNDLE, BUNDLE + 1)


def test_the_input_has_not_ended_while_a_bundle_is_not_read_to_its_end(make_hop: MakeHop) -> None:
    hop = make_hop(slots=3)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 3):
        sender.send(payload)
    sender.end()
    for left in (2, 1, 0):
        take(receiver, 1)
        assert receiver.waiting == bool(left)
        assert not receiver.ended
    until(lambda: receiver.ended, receiver.receive, receiver.socket)


def test_a_release_of_an_older_generation_changes_nothing(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"x")
    sender.flush()
    (delivery,) = take(receiver, 1)
    receiver.release(delivery.slot, delivery.generation - 2)
    receiver.flush()
    assert receiver.depth == 1
    give_back(receiver, [delivery, delivery])
    await_readable(sender.socket)
    sender.on_readable()
    assert (receiver.depth, sender.depth) == (0, 0)


# --- bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "inline"),
    [(0, True), (64, True), (65, False), (4096, False), (4097, True), (300_000, True)],
)
def test_small_and_oversized_payloads_travel_inline_and_the_rest_in_the_slot(
    make_hop: MakeHop, length: int, inline: bool
) -> None:
    hop = make_hop(slots=2, slot_bytes=4096, inline_bytes=64)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    payload = bytes(n % 251 for n in range(length))
    sender.send(payload)
    sender.flush()
    await_readable(receiver.socket)
    (filled,) = msgspec.msgpack.decode(receiver.socket.recv(), type=Data).filled
    assert (filled.inline, filled.length) == (payload if inline else None, length)
    attach(sender, again := hop.restart(receiver, sender))
    assert [delivery.payload for delivery in take(again, 1)] == [payload]


def test_a_slot_that_was_overwritten_is_noticed_and_counted_as_damaged(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2, inline_bytes=0)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"written over")
    sender.send(b"whole")
    sender.flush()
    hop.ring.write(0, b"written over")
    assert [delivery.payload for delivery in take(receiver, 1)] == [b"whole"]
    assert receiver.damaged == 1
    receiver.flush()
    await_readable(sender.socket)
    sender.on_readable()
    assert sender.depth == 1


def test_bytes_that_do_not_match_their_checksum_are_counted_as_damaged(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2, inline_bytes=0)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"sound")
    sender.send(b"whole")
    sender.flush()
    view = hop.ring.view(0, 5)
    view[0:1] = b"S"  # without a new generation
    view.release()
    assert [delivery.payload for delivery in take(receiver, 1)] == [b"whole"]
    assert (receiver.damaged, receiver.depth) == (1, 1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.binary(max_size=200), max_size=40),
    slots=st.integers(2, 5),
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
def test_everything_arrives_once_in_order_and_with_its_bytes(
    make_hop: MakeHop, payloads: list[bytes], slots: int, batches: list[int]
) -> None:
    hop = make_hop(slots=slots, slot_bytes=128, inline_bytes=32)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in payloads:
        sender.send(payload)
        sender.flush()
    arrived: list[bytes] = []
    for batch in batches:
        taken = take(receiver, min(batch, slots, len(payloads) - len(arrived)))
        arrived += [delivery.payload for delivery in taken]
        give_back(receiver, list(reversed(taken)))
        if taken:
            await_readable(sender.socket)
            sender.on_readable()
    assert arrived + pass_all(sender, receiver) == payloads
    assert (sender.depth, receiver.depth, receiver.repeated, receiver.damaged) == (0, 0, 0, 0)
    hop.kill(receiver, sender)
    sender.socket.close(linger=0)


def test_what_is_no_frame_and_slots_that_are_not_there_are_counted_and_the_next_one_comes(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    strange = [Filled(slot, 2, 1, crc32(b"x"), 1, inline) for slot, inline in ((2, b"x"), (-1, b"x"), (99, None))]
    for frame in (b"\xc1", b"\x91" * 3000, msgspec.msgpack.encode(Data(strange))):
        sender.socket.send(frame)
    sender.send(b"sound")
    sender.flush()
    (taken,) = take(receiver, 1)
    assert taken.payload == b"sound"
    assert (receiver.damaged, receiver.depth) == (5, 1)
