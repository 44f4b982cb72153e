"""Every socket has its options set in one place."""

import pytest
import zmq

from pipeline.sockets import INNER_BYTES, LINGER_MS, Context, Socket, make_socket

KINDS = [zmq.PUB, zmq.SUB, zmq.XPUB, zmq.PUSH, zmq.PULL, zmq.DEALER, zmq.ROUTER]


@pytest.mark.parametrize("kind", KINDS)
def test_high_water_marks_linger_and_the_largest_message_are_finite_for_every_kind(context: Context, kind: int) -> None:
    socket = make_socket(context, kind)
    assert int(socket.getsockopt(zmq.SNDHWM)) > 0
    assert int(socket.getsockopt(zmq.RCVHWM)) > 0
    assert socket.getsockopt(zmq.LINGER) == LINGER_MS
    assert socket.getsockopt(zmq.MAXMSGSIZE) == INNER_BYTES


def test_the_high_water_mark_and_the_largest_message_are_what_was_asked_for(context: Context) -> None:
    socket = make_socket(context, zmq.DEALER, high_water_mark=7, max_bytes=1000)
    assert socket.getsockopt(zmq.SNDHWM) == 7
    assert socket.getsockopt(zmq.RCVHWM) == 7
    assert socket.getsockopt(zmq.MAXMSGSIZE) == 1000


def test_a_router_says_when_an_answer_reaches_nobody(context: Context) -> None:
    router = make_socket(context, zmq.ROUTER)
    with pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart((b"nobody", b"hello"), zmq.NOBLOCK)
    assert caught.value.errno == zmq.EHOSTUNREACH


def test_a_client_that_comes_back_takes_its_name_over(context: Context) -> None:
    router = make_socket(context, zmq.ROUTER)
    router.bind("inproc://router")
    for word in (b"first", b"second"):
        client = make_socket(context, zmq.DEALER)
        client.setsockopt(zmq.IDENTITY, b"prompt")
        client.connect("inproc://router")
        client.send(word)
        assert router.poll(10_000)
        assert router.recv_multipart() == [b"prompt", word]
    router.send_multipart((b"prompt", b"answer"))
    assert client.poll(10_000)
    assert client.recv() == b"answer"


def test_an_xpub_sees_every_subscriber_of_a_topic(context: Context) -> None:
    publisher = make_socket(context, zmq.XPUB)
    publisher.bind("inproc://states")
    for _ in range(2):
        subscriber = make_socket(context, zmq.SUB)
        subscriber.setsockopt(zmq.SUBSCRIBE, b"status")
        subscriber.connect("inproc://states")
        assert publisher.poll(10_000)
        assert publisher.recv() == b"\x01status"


def fill(publisher: Socket) -> int:
    """Send numbers until one is refused; how many went out."""
    for number in range(100):
        try:
            publisher.send(b"%d" % number, zmq.NOBLOCK)
        except zmq.Again:
            return number
    raise AssertionError("nothing was refused")
