"""A frame above a socket's limit: whoever sent it is cut off, and nobody else notices."""

from collections.abc import Iterator

import pytest
import zmq

from pipeline.client import Client, Sidecar, States
from pipeline.messages import SessionStart, SurgeryState, Transcript
from pipeline.sockets import OUTPUT_BYTES, SUBSCRIPTION_BYTES
from pipeline.wire_format import frames_of

WAIT_MS = 30_000
LIMIT = 10_000  # ingress.max_message_bytes; ZeroMQ itself cuts off at 8 times that

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def context() -> Iterator[Context]:
    made: Context = zmq.Context()
    made.setsockopt(zmq.LINGER, 0)
    yield made
    made.destroy()


@pytest.fixture
def sidecar(settings: tuple[str, ...]) -> Iterator[Sidecar]:
    with Sidecar(model="stub", settings=(*settings, f"ingress.max_message_bytes={LIMIT}")) as sidecar:
        yield sidecar


def lost_after(socket: zmq.Socket[bytes], frame: bytes) -> bool:
    """Whether the connection of that socket ended when it had sent the frame."""
    watch = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.send(frame)
    return bool(watch.poll(WAIT_MS))


@pytest.mark.parametrize(
    ("where", "kind", "size"),
    [
        ("ingress", zmq.XPUB, 8 * LIMIT + 1),
        ("requests", zmq.DEALER, 8 * LIMIT + 1),
        ("states", zmq.XSUB, SUBSCRIPTION_BYTES + 1),
    ],
)
def test_whoever_sends_the_pipeline_too_large_a_frame_is_cut_off_and_the_others_go_on(
    sidecar: Sidecar, context: Context, where: str, kind: int, size: int
) -> None:
    requests, description = sidecar.launch.wait_ready(1).requests, sidecar.client.description
    endpoint = {"ingress": description.ingress[0], "requests": requests, "states": description.states}[where]
    with Client(requests) as other:
        states = other.states("or1", timeout_s=30.0)
        other.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        assert next(states).based_on == 1
        faulty = context.socket(kind)
        faulty.setsockopt(zmq.RECONNECT_IVL, -1)
        faulty.connect(endpoint)
        if kind == zmq.XPUB:
            assert faulty.recv() == b"\x01"
        assert lost_after(faulty, b"\x01" + b"x" * size)
        other.publish(Transcript(session="or1", seq=2, t=1.0, text="suction on"))
        assert "M06" in next(state for state in states if state.based_on == 2).state["machines"]["1"]
    stages = sidecar.states().wait_status(30.0).stages
    assert [stage.restarts for stage in stages.values()] == [0, 0, 0]


def test_a_publisher_that_is_connected_to_is_called_again_when_it_was_cut_off(
    settings: tuple[str, ...], context: Context
) -> None:
    publisher = context.socket(zmq.XPUB)
    endpoint = f"tcp://127.0.0.1:{publisher.bind_to_random_port('tcp://127.0.0.1')}"
    ours = (f"ingress.max_message_bytes={LIMIT}", f"ingress.connect=[{endpoint!r}]")
    with Sidecar(model="stub", settings=(*settings, *ours)) as sidecar:
        states = sidecar.states("or1", timeout_s=30.0)
        assert publisher.recv() == b"\x01"
        publisher.send(b"x" * (8 * LIMIT + 1))
        assert publisher.recv() == b"\x00"
        assert publisher.recv() == b"\x01"
        publisher.send_multipart(frames_of(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL")))
        assert next(states).based_on == 1
        watched = sidecar.states()
        while watched.wait_status(30.0).stages["prompt"].counters["publishers.called_again"] != 1:
            pass


def test_a_client_is_cut_off_from_what_sends_it_too_large_a_state_and_its_other_subscriptions_stay(
    context: Context,
) -> None:
    pipeline = context.socket(zmq.XPUB)
    pipeline.setsockopt(zmq.XPUB_VERBOSE, 1)
    watch = pipeline.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    endpoint = f"tcp://127.0.0.1:{pipeline.bind_to_random_port('tcp://127.0.0.1')}"
    one, other = States(context, endpoint, "or1", 30.0), States(context, endpoint, "or2", 30.0)
    for _ in range(4):  # each of them hears states and status
        assert pipeline.recv().startswith(b"\x01")
    pipeline.send_multipart([b"state/or1", b"SurgeryState", b"x" * (OUTPUT_BYTES + 1)])
    assert watch.poll(WAIT_MS)
    state = SurgeryState(session="or2", seq=1, t=0.0, based_on=1, outcome="ok", degraded=False, state={})
    pipeline.send_multipart([b"state/or2", *frames_of(state)])
    assert next(other) == state
    one.stop()
    assert list(one) == []
    one.close()
    other.close()
