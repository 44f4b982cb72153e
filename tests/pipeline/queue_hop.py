"""A hop for tests: a ring and an endpoint, with ends that can be restarted as processes are."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import zmq

from pipeline.queue import Delivery, Receiver, Sender
from pipeline.ring import Ring
from pipeline.segment import Segment, segment_name
from pipeline.sockets import Context, Socket, make_socket

MakeHop = Callable[..., "Hop"]
LIMIT_MS = 10_000
_numbers = count()


class Hop:
    """One queue. `slots` of `slot_bytes`; payloads up to `inline_bytes` travel in the message."""

    def __init__(self, context: Context, folder: Path, slots: int, slot_bytes: int = 4096, inline_bytes: int = 64):
        self.context = context
        self.endpoint = f"ipc://{folder}/hop{next(_numbers)}"
        self.inline_bytes = inline_bytes
        self.name = segment_name(os.getpid(), f"hop{next(_numbers)}")
        self.ring = Ring.create(self.name, slots, slot_bytes)
        self._attached: list[Segment] = []
        self._contexts: dict[int, Context] = {}

    def sender(self) -> Sender:
        """A new sending end, not yet attached."""
        socket = make_socket(self.context, zmq.DEALER)
        socket.connect(self.endpoint)
        return Sender("hop", socket, self._ring(), self.inline_bytes)

    def receiver(self) -> Receiver:
        """A new receiving end; the one before must be gone."""
        # A context of its own: its end waits until the old socket's file is removed, or that would remove the new one's
        context: Context = zmq.Context[Socket]()
        socket = make_socket(context, zmq.DEALER)
        socket.bind(self.endpoint)
        receiver = Receiver("hop", socket, self._ring())
        self._contexts[id(receiver)] = context
        return receiver

    def kill(self, receiver: Receiver, sender: Sender) -> None:
        """End the receiver as a crash does, and wait until the sender's socket has noticed."""
        with _noticing_the_end(sender.socket):
            self._contexts.pop(id(receiver)).destroy(linger=0)

    def leave(self, sender: Sender, receiver: Receiver) -> None:
        """End the sender, and wait until the receiver's socket has noticed."""
        with _noticing_the_end(receiver.socket):
            sender.socket.close()

    def restart(self, receiver: Receiver, sender: Sender) -> Receiver:
        """A new receiver in the place of one that ends as in a crash."""
        self.kill(receiver, sender)
        return self.receiver()

    def remove(self) -> None:
        """Give sockets and memory back."""
        for context in self._contexts.values():
            context.destroy(linger=0)
        for segment in (*self._attached, self.ring.segment):
            segment.close()
        self.ring.segment.unlink()

    def _ring(self) -> Ring:
        self._attached.append(Segment.attach(self.name))
        return Ring(self._attached[-1])


@contextmanager
def _noticing_the_end(socket: Socket) -> Iterator[None]:
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    yield
    await_readable(monitor)
    socket.disable_monitor()


def attach(sender: Sender, receiver: Receiver) -> None:
    """The handshake, with nothing else on its way to the sender."""
    sender.attach()
    await_readable(receiver.socket)
    assert receiver.receive() is None
    await_readable(sender.socket)
    sender.on_readable()


def await_readable(socket: Socket) -> None:
    """Wait until something has arrived."""
    assert socket.poll(LIMIT_MS), "nothing arrived"


def until(condition: Callable[[], bool], turn: Callable[[], object], *sockets: Socket) -> None:
    """Take turns, woken by the sockets, until the condition holds."""
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    deadline = time.monotonic() + LIMIT_MS / 1000
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        poller.poll(50)
        turn()


def take(receiver: Receiver, number: int) -> list[Delivery]:
    """The next `number` deliveries, unreleased."""
    taken: list[Delivery] = []

    def turn() -> None:
        while len(taken) < number and (delivery := receiver.receive()) is not None:
            taken.append(delivery)

    until(lambda: len(taken) >= number, turn, receiver.socket)
    return taken


def give_back(receiver: Receiver, deliveries: list[Delivery]) -> None:
    """Release and say so."""
    for delivery in deliveries:
        receiver.release(delivery.slot, delivery.generation)
    receiver.flush()


def pass_all(sender: Sender, receiver: Receiver) -> list[bytes]:
    """End the queue and take all that is left in it, releasing as it comes; the payloads in order."""
    payloads: list[bytes] = []

    def turn() -> None:
        sender.on_readable()
        if not sender.backlog and not receiver.ended:
            sender.end()
        while (delivery := receiver.receive()) is not None:
            payloads.append(delivery.payload)
            give_back(receiver, [delivery])

    until(lambda: receiver.ended and not sender.depth, turn, sender.socket, receiver.socket)
    return payloads


def numbered(first: int, last: int) -> list[bytes]:
    """Payloads alternately inline and in shared memory."""
    return [str(n).encode().rjust(100 if n % 2 else 10, b"0") for n in range(first, last)]
