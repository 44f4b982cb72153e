"""What runs in the second process of the tests of queues."""

import threading
from multiprocessing.connection import Connection

import zmq

from pipeline.queue import Receiver
from pipeline.ring import Ring
from pipeline.segment import Segment
from pipeline.sockets import make_socket


def receive_until_killed(endpoint: str, ring: str, release_below: int, told: Connection) -> None:
    """Receive numbers and tell each; release those below a limit and hold the rest, to the end of the queue."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = make_socket(context, zmq.DEALER)
    socket.bind(endpoint)
    receiver = Receiver("hop", socket, Ring(Segment.attach(ring)))
    told.send("bound")
    while not receiver.ended:
        socket.poll()
        while (delivery := receiver.receive()) is not None:
            number = int(delivery.payload)
            if number < release_below:
                receiver.release(delivery.slot, delivery.generation)
                receiver.flush()
            told.send(number)
    told.send((receiver.repeated, receiver.damaged))
    context.destroy(linger=2000)


def send_until_killed(endpoint: str, ring: str, first: int, told: Connection) -> None:
    """Send numbers from `first` on for as long as there are slots, then hold still."""
    from pipeline.queue import Sender

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = make_socket(context, zmq.DEALER)
    socket.connect(endpoint)
    sender = Sender("hop", socket, Ring(Segment.attach(ring)), inline_bytes=16)
    sender.attach()
    while not sender.backlog or sender.depth == 0:
        if not sender.depth:
            socket.poll()
            sender.on_readable()
        for number in range(first, first + 100):
            sender.send(str(number).encode().rjust(8 if number % 2 else 80, b"0"))
            sender.flush()
    told.send(sender.depth)
    threading.Event().wait()
