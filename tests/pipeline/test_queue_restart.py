"""A hop one of whose ends is restarted: what is sent again, what is not, and in which order."""

from types import SimpleNamespace
from typing import Any, cast
from zlib import crc32

import msgspec
import zmq
from queue_hop import MakeHop, attach, await_readable, give_back, numbered, pass_all, take, until

from pipeline.queue import Attach, Data, End, Filled, Held, Receiver, Released
from pipeline.sockets import Socket

# --- a restarted receiver ----------------------------------------------------------------------------------


def test_a_restarted_receiver_gets_what_is_unreleased_once_each_and_in_order(make_hop: MakeHop) -> None:
    hop = make_hop(slots=4)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 9):
        sender.send(payload)
        sender.flush()
    taken = take(receiver, 4)
    give_back(receiver, taken[1:2])
    until(lambda: sender.backlog == 4, sender.on_readable, sender.socket)
    again = hop.restart(receiver, sender)
    sender.detach()
    sender.attach()
    left = pass_all(sender, again)
    assert left == [payload for payload in numbered(0, 9) if payload != taken[1].payload]
    assert (again.repeated, again.damaged) == (0, 0)


def test_what_was_on_its_way_to_a_dead_receiver_does_not_overtake_what_is_sent_again(make_hop: MakeHop) -> None:
    hop = make_hop(slots=6)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 3):
        sender.send(payload)
        sender.flush()
    take(receiver, 3)
    hop.kill(receiver, sender)
    for payload in numbered(3, 6):
        sender.send(payload)  # its death is not yet known
        sender.flush()
    again = hop.receiver()
    sender.detach()
    sender.attach()
    assert pass_all(sender, again) == numbered(0, 6)
    assert again.repeated == 0


def test_a_bundle_that_was_not_sent_when_the_receiver_died_goes_to_the_next_one_once(make_hop: MakeHop) -> None:
    hop = make_hop(slots=6)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 3):
        sender.send(payload)
    again = hop.restart(receiver, sender)
    sender.detach()
    sender.flush()
    sender.attach()
    assert pass_all(sender, again) == numbered(0, 3)
    assert again.repeated == 0


def test_an_end_that_was_on_its_way_does_not_come_before_what_is_sent_again(make_hop: MakeHop) -> None:
    hop = make_hop(slots=4)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 3):
        sender.send(payload)
        sender.flush()
    take(receiver, 3)
    hop.kill(receiver, sender)
    sender.end()
    again = hop.receiver()
    attach(sender, again)
    for expected in numbered(0, 3):
        assert not again.ended
        (delivery,) = take(again, 1)
        assert delivery.payload == expected
    until(lambda: again.ended, again.receive, again.socket)


def test_an_end_that_is_said_while_the_receiver_is_away_follows_what_is_sent_again(make_hop: MakeHop) -> None:
    hop = make_hop(slots=4)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"last")
    sender.flush()
    take(receiver, 1)
    sender.detach()
    again = hop.restart(receiver, sender)
    sender.attach()
    sender.end()
    await_readable(again.socket)
    assert again.receive() is None
    assert not again.ended
    await_readable(sender.socket)
    sender.on_readable()
    assert take(again, 1)[0].payload == b"last"
    until(lambda: again.ended, again.receive, again.socket)


def test_end_is_said_again_to_each_receiver_that_comes(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.end()
    until(lambda: receiver.ended, receiver.receive, receiver.socket)
    again = hop.restart(receiver, sender)
    attach(sender, again)
    until(lambda: again.ended, again.receive, again.socket)


def test_the_answer_of_a_dead_receiver_is_not_taken_for_that_of_the_next(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"held by the first")
    sender.flush()
    take(receiver, 1)
    sender.attach()
    await_readable(receiver.socket)
    assert receiver.receive() is None
    await_readable(sender.socket)  # the answer has arrived and is not read
    again = hop.restart(receiver, sender)
    sender.detach()
    sender.attach()
    sender.on_readable()
    assert pass_all(sender, again) == [b"held by the first"]


def test_a_message_that_comes_twice_is_taken_once_and_counted(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for said in (_x(0), _x(0), End()):
        sender.socket.send(msgspec.msgpack.encode(said))
    (delivery,) = take(receiver, 1)
    until(lambda: receiver.ended, lambda: _none(receiver), receiver.socket)
    assert (delivery.payload, receiver.repeated) == (b"x", 1)


def _x(slot: int) -> Data:
    return Data([Filled(slot, 2, 1, crc32(b"x"), 1, b"x")])


def _none(receiver: Receiver) -> None:
    assert receiver.receive() is None


# --- a restarted sender ------------------------------------------------------------------------------------


def test_a_restarted_sender_does_not_overwrite_what_the_receiver_still_holds(make_hop: MakeHop) -> None:
    hop = make_hop(slots=3, inline_bytes=0)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in (b"held", b"done"):
        sender.send(payload)
        sender.flush()
    first, second = take(receiver, 2)
    give_back(receiver, [second])
    hop.leave(sender, receiver)
    again = hop.sender()
    attach(again, receiver)
    for payload in (b"one", b"two", b"three"):
        again.send(payload)
        again.flush()
    assert (again.depth, again.backlog) == (2, 1)
    assert {delivery.slot for delivery in take(receiver, 2)} == {0, 1, 2} - {first.slot}
    assert hop.ring.read(first.slot, first.generation, 4) == b"held"
    give_back(receiver, [first])
    await_readable(again.socket)
    again.on_readable()
    (third,) = take(receiver, 1)
    assert (third.payload, third.slot, again.backlog) == (b"three", first.slot, 0)


def test_what_a_dead_sender_had_sent_counts_as_held_before_the_next_is_answered() -> None:
    """Two connections are read in turn, so the next sender's question may come before the rest of the dead one's."""

    class Scripted:
        """A socket on which all of that has arrived already."""

        def __init__(self) -> None:
            self.inbox = [Attach(1), _x(0), Attach(1), _x(1), _x(2)]
            self.said: list[bytes] = []

        def recv(self, _flags: int) -> bytes:
            return msgspec.msgpack.encode(self.inbox.pop(0))

        def getsockopt(self, _option: int) -> int:
            return int(zmq.POLLIN) if self.inbox else 0

        def send(self, frame: bytes, _flags: int) -> None:
            self.said.append(frame)

    socket = Scripted()
    receiver = Receiver("hop", cast(Socket, socket), cast(Any, SimpleNamespace(slots=8)))
    while receiver.receive() is not None:
        pass
    (said,) = socket.said
    assert msgspec.msgpack.decode(said, type=Held) == Held(1, [(0, 2), (1, 2), (2, 2)])


def test_a_receiver_answers_with_what_it_still_holds_and_the_number_of_the_question(make_hop: MakeHop) -> None:
    hop = make_hop(slots=3)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for payload in numbered(0, 3):
        sender.send(payload)
        sender.flush()
    deliveries = take(receiver, 3)
    receiver.release(deliveries[0].slot, deliveries[0].generation)
    sender.socket.send(msgspec.msgpack.encode(Attach(17)))
    await_readable(receiver.socket)
    assert receiver.receive() is None
    said: list[bytes] = []
    until(lambda: len(said) == 2, lambda: said.append(sender.socket.recv()), sender.socket)
    assert [msgspec.msgpack.decode(frame, type=Released | Held) for frame in said] == [
        Released([(deliveries[0].slot, deliveries[0].generation)]),
        Held(17, [(d.slot, d.generation) for d in deliveries[1:]]),
    ]


# --- jobs that were in a process that died -----------------------------------------------------------------


def test_a_suspect_is_sent_again_as_attempt_two_and_its_neighbours_as_attempt_one(make_hop: MakeHop) -> None:
    hop = make_hop(slots=3)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    for key in ("a", "b", "c"):
        sender.send(key.encode(), key)
        sender.flush()
    take(receiver, 3)
    again = hop.restart(receiver, sender)
    sender.detach()
    assert sender.suspect(("b",)) == []
    attach(sender, again)
    assert [(d.payload, d.attempt) for d in take(again, 3)] == [(b"a", 1), (b"b", 2), (b"c", 1)]


def test_a_suspect_of_two_deaths_is_taken_out_and_its_slot_is_free(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"killer", "killer")
    sender.send(b"bystander", "bystander")
    sender.flush()
    for attempt in (1, 2):
        assert take(receiver, 2)[0].attempt == attempt
        receiver = hop.restart(receiver, sender)
        sender.detach()
        assert sender.suspect(("killer",)) == ([] if attempt == 1 else [(b"killer", 2)])
        if attempt == 1:
            attach(sender, receiver)
    assert sender.unreleased() == {"bystander": b"bystander"}
    attach(sender, receiver)
    sender.send(b"next", "next")
    sender.flush()
    assert [d.payload for d in take(receiver, 2)] == [b"bystander", b"next"]


def test_a_key_that_was_released_is_not_suspected(make_hop: MakeHop) -> None:
    hop = make_hop(slots=2)
    sender, receiver = hop.sender(), hop.receiver()
    attach(sender, receiver)
    sender.send(b"done", "done", attempt=2)
    sender.flush()
    give_back(receiver, take(receiver, 1))
    await_readable(sender.socket)
    sender.on_readable()
    assert sender.suspect(("done",)) == []
