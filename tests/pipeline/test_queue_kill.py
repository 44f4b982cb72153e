"""A hop between real processes, one of which is killed in the middle."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from queue_children import receive_until_killed, send_until_killed
from queue_hop import Hop, attach, give_back, take, until

from pipeline.sockets import Context

SLOTS = 8
MESSAGES = 100
LIMIT_S = 60
_spawn = multiprocessing.get_context("spawn")


class Child:
    """A second process and what it tells."""

    def __init__(self, target: object, hop: Hop, number: int) -> None:
        ours, theirs = _spawn.Pipe()
        self.told: Connection = ours
        self.process: BaseProcess = _spawn.Process(target=target, args=(hop.endpoint, hop.name, number, theirs))  # type: ignore[arg-type]
        self.process.start()
        theirs.close()

    def hear(self) -> object:
        """The next thing it tells."""
        assert self.told.poll(LIMIT_S), "the child says nothing"
        return self.told.recv()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.join(LIMIT_S)
        self.process.close()
        self.told.close()


@pytest.fixture
def hop(context: Context, short_dir: Path) -> Iterator[Hop]:
    made = Hop(context, short_dir, SLOTS, slot_bytes=4096, inline_bytes=16)
    yield made
    made.remove()


@pytest.mark.parametrize("killed_at", [0, 1, 37, MESSAGES - SLOTS])
def test_a_receiver_killed_in_the_middle_loses_nothing_and_its_successor_sees_each_unreleased_message_once(
    hop: Hop, killed_at: int
) -> None:
    sender = hop.sender()
    for number in range(MESSAGES):
        sender.send(str(number).encode().rjust(8 if number % 2 else 80, b"0"))
        sender.flush()
    first = Child(receive_until_killed, hop, killed_at)
    assert first.hear() == "bound"
    sender.attach()
    seen_by_first: list[object] = []
    while len(seen_by_first) < killed_at + SLOTS:  # then all its slots are held
        until(lambda: first.told.poll(), sender.on_readable, sender.socket)
        seen_by_first.append(first.hear())
    first.kill()
    sender.detach()

    second = Child(receive_until_killed, hop, MESSAGES)
    assert second.hear() == "bound"
    sender.attach()
    seen_by_second: list[object] = []
    while len(seen_by_second) < MESSAGES - killed_at:
        until(lambda: second.told.poll(), sender.on_readable, sender.socket)
        seen_by_second.append(second.hear())
    sender.end()
    until(lambda: second.told.poll(), sender.on_readable, sender.socket)
    assert second.hear() == (0, 0)
    second.process.join(LIMIT_S)
    assert second.process.exitcode == 0
    second.kill()

    assert seen_by_first == list(range(killed_at + SLOTS))
    assert seen_by_second == list(range(killed_at, MESSAGES))
    until(lambda: sender.depth == 0, sender.on_readable, sender.socket)


def test_a_killed_sender_leaves_what_it_sent_and_its_successor_uses_the_other_slots(hop: Hop) -> None:
    receiver = hop.receiver()
    child = Child(send_until_killed, hop, 1000)
    until(lambda: receiver.socket.poll(0) > 0, lambda: None, receiver.socket)
    held = take(receiver, SLOTS)
    assert child.hear() == SLOTS
    child.kill()
    give_back(receiver, held[:3])
    sender = hop.sender()
    attach(sender, receiver)
    for number in range(10):
        sender.send(str(number).encode().rjust(80, b"0"))
        sender.flush()
    assert (sender.depth, sender.backlog) == (3, 7)
    assert {d.slot for d in take(receiver, 3)} == {d.slot for d in held[:3]}
    for delivery in held[3:]:
        hop.ring.check(delivery.slot, delivery.generation)
    assert [int(delivery.payload) for delivery in held] == list(range(1000, 1000 + SLOTS))
