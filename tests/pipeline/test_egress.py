"""Where states go out."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq
from queue_hop import await_readable, until

from pipeline import egress
from pipeline.egress import BUNDLE, Publisher, state_topic
from pipeline.errors import OrstateError
from pipeline.messages import Status, SurgeryState
from pipeline.sockets import Context, Socket, make_socket
from pipeline.wire_format import read_output

STATUS = Status(model="m", label="l", model_state="ready", model_error="", stages={})


def state(session: str, seq: int) -> SurgeryState:
    return SurgeryState(
        session=session, seq=seq, t=1.0, based_on=seq, outcome="ok", degraded=False, state={"machines": {"0": []}}
    )


@pytest.fixture(params=[True, False], ids=["json", "msgpack"])
def publisher(request: pytest.FixtureRequest, context: Context, short_dir: Path) -> Publisher:
    return Publisher(make_socket(context, zmq.XPUB), f"ipc://{short_dir}/states", request.param)


@pytest.fixture
def subscribe(context: Context, publisher: Publisher, short_dir: Path) -> Callable[..., Socket]:
    def connect(*topics: bytes) -> Socket:
        socket = make_socket(context, zmq.SUB)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        socket.connect(f"ipc://{short_dir}/states")
        await_readable(publisher.socket)
        publisher.on_readable()
        return socket

    return connect


def publish(publisher: Publisher, message: SurgeryState | Status) -> None:
    """As the loop does it."""
    publisher.send(message, publisher.encode(message))
    publisher.flush()


def test_a_state_goes_out_under_the_topic_of_its_session(
    publisher: Publisher, subscribe: Callable[..., Socket]
) -> None:
    every, one = subscribe(b"state/"), subscribe(state_topic("or2"))
    publish(publisher, state("or1", 1))
    publish(publisher, state("or2", 1))
    await_readable(one)
    frames = one.recv_multipart()
    assert frames[:2] == [b"state/or2", b"SurgeryState"]
    assert read_output(frames) == state("or2", 1)
    seen = []
    for _ in range(2):
        await_readable(every)
        seen.append(read_output(every.recv_multipart()))
    assert seen == [state("or1", 1), state("or2", 1)]


def test_a_new_subscriber_is_told_the_newest_status_and_everything_after_reaches_it(
    publisher: Publisher, subscribe: Callable[..., Socket]
) -> None:
    publish(publisher, STATUS)
    newest = msgspec.structs.replace(STATUS, model_state="down")
    publish(publisher, newest)
    for number in range(2):
        socket = subscribe(b"state/", b"status")
        until(lambda socket=socket: socket.poll(0) > 0, publisher.on_readable, socket, publisher.socket)  # type: ignore[misc]
        assert read_output(socket.recv_multipart()) == newest
        publish(publisher, state("or1", number))
        messages: list[SurgeryState | Status] = []
        while not messages or isinstance(messages[-1], Status):
            await_readable(socket)
            messages.append(read_output(socket.recv_multipart()))
        assert messages[-1] == state("or1", number)


def test_before_the_first_status_a_subscriber_is_told_nothing_and_then_the_first(
    publisher: Publisher, subscribe: Callable[..., Socket]
) -> None:
    socket = subscribe(b"status")
    publish(publisher, STATUS)
    await_readable(socket)
    assert read_output(socket.recv_multipart()) == STATUS
    assert not socket.poll(0)


def test_publishing_to_nobody_and_to_one_who_does_not_read_never_blocks(context: Context, short_dir: Path) -> None:
    publisher = Publisher(make_socket(context, zmq.XPUB, high_water_mark=2), "inproc://states", True)
    publish(publisher, state("or1", 0))
    socket = make_socket(context, zmq.SUB, high_water_mark=2)
    socket.setsockopt(zmq.SUBSCRIBE, b"state/")
    socket.connect("inproc://states")
    await_readable(publisher.socket)
    publisher.on_readable()
    for number in range(1, 100):
        publish(publisher, state("or1", number))
    seen = []
    while socket.poll(0):
        seen.append(read_output(socket.recv_multipart()))
    assert 0 < len(seen) < 99
    assert [message.seq for message in seen if isinstance(message, SurgeryState)] == list(range(1, len(seen) + 1))


def test_who_does_not_read_is_counted_once_until_it_reads_and_the_others_miss_nothing(
    context: Context, short_dir: Path
) -> None:
    publisher = Publisher(make_socket(context, zmq.XPUB, high_water_mark=4), "inproc://states", True)
    sockets = []
    for mark in (4, 1000):
        socket = make_socket(context, zmq.SUB, high_water_mark=mark)
        socket.setsockopt(zmq.SUBSCRIBE, b"state/")
        socket.connect("inproc://states")
        await_readable(publisher.socket)
        publisher.on_readable()
        sockets.append(socket)
    stopped, reading = sockets
    for full in (1, 2):
        read = []
        for seq in range(100):
            publish(publisher, state("or1", seq))
            read.append(read_output(_next(reading)))
        assert [message.seq for message in read if isinstance(message, SurgeryState)] == list(range(100))
        assert publisher.full == full
        while stopped.poll(0):
            stopped.recv_multipart()
        publisher.on_readable()  # ZeroMQ hears that there is room again when it is asked, or a millisecond later


@pytest.mark.parametrize("payload", [b"{}", b'{"type":"New"}', b"\xc1"])
def test_what_is_of_another_version_is_named(payload: bytes) -> None:
    with pytest.raises(OrstateError, match="b'state/or1': not a message of this version"):
        read_output([b"state/or1", b"New", payload])


def test_what_one_cycle_made_goes_out_together_and_a_full_bundle_at_once(
    publisher: Publisher, subscribe: Callable[..., Socket]
) -> None:
    socket = subscribe(b"state/")
    for seq in range(1, BUNDLE):
        message = state("or1", seq)
        publisher.send(message, publisher.encode(message))
    publisher.flush()
    assert [read_output(_next(socket)).seq for _ in range(1, BUNDLE)] == list(range(1, BUNDLE))
    for seq in range(BUNDLE):
        message = state("or1", seq)
        publisher.send(message, publisher.encode(message))
    assert [read_output(_next(socket)).seq for _ in range(BUNDLE)] == list(range(BUNDLE))


def _next(socket: Socket) -> list[bytes]:
    await_readable(socket)
    return socket.recv_multipart()


def test_what_a_new_process_publishes_waits_for_those_who_had_subscribed(
    publisher: Publisher, context: Context, short_dir: Path
) -> None:
    publisher.await_subscriptions(1, 60.0)
    publish(publisher, state("or1", 1))
    socket = make_socket(context, zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"state/")
    socket.connect(f"ipc://{short_dir}/states")
    until(lambda: socket.poll(0) > 0, publisher.flush, socket, publisher.socket)
    assert read_output(socket.recv_multipart()) == state("or1", 1)
    assert publisher.subscriptions == 1


def test_it_does_not_wait_for_ever(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.await_subscriptions(5, 1.0)
    publish(publisher, state("or1", 1))
    assert len(publisher._waiting) == 1
    later = time.monotonic() + 1.0
    monkeypatch.setattr(egress.time, "monotonic", lambda: later)
    publisher.flush()
    assert publisher._waiting == []


def test_subscriptions_are_counted_and_those_that_leave_are_not(
    publisher: Publisher, subscribe: Callable[..., Socket]
) -> None:
    one, _ = subscribe(b"state/"), subscribe(b"state/")
    assert publisher.subscriptions == 2
    one.close()
    await_readable(publisher.socket)
    publisher.on_readable()
    assert publisher.subscriptions == 1


def test_the_last_of_it_waits_for_those_who_are_to_come_back(
    publisher: Publisher, context: Context, short_dir: Path
) -> None:
    publisher.await_subscriptions(1, 60.0)
    publish(publisher, state("or1", 1))
    socket = make_socket(context, zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"state/")
    socket.connect(f"ipc://{short_dir}/states")
    publisher.finish()
    assert read_output(_next(socket)) == state("or1", 1)
