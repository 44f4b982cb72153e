"""What strangers and faulty publishers send is counted and told with its reason, and the pipeline goes on."""

from collections.abc import Iterator

import msgspec
import pytest
import zmq

from pipeline import events
from pipeline.client import Sidecar, States
from pipeline.messages import SessionStart, Transcript
from pipeline.wire_format import frames_of

WAIT_S = 30.0


class Publisher:
    """A publisher that sends whatever it is told."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self._socket = context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.connect(endpoint)
        assert self._socket.recv() == b"\x01"

    def send(self, *frames: bytes) -> None:
        self._socket.send_multipart(frames)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def sidecar(settings: tuple[str, ...]) -> Iterator[Sidecar]:
    with Sidecar(model="stub", settings=(*settings, "ingress.max_message_bytes=10000")) as sidecar:
        yield sidecar


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


def start(session: str = "or1") -> bytes:
    return msgspec.json.encode(SessionStart(session=session, seq=1, t=0.0, surgery="PCNL"))


def line(seq: int, t: float, text: str, session: str = "or1") -> bytes:
    return msgspec.json.encode(Transcript(session=session, seq=seq, t=t, text=text))


def rule_state(states: States, seq: int) -> dict[str, list[str]]:
    """The machines after the input of that number."""
    machines: dict[str, list[str]] = next(state for state in states if state.based_on == seq).state["machines"]
    return machines


FAULTS = [
    ((b"",), "bad_message", "truncated"),
    ((b"{not json",), "bad_message", "malformed"),
    ((b"\x81\xa4type",), "bad_message", "truncated"),
    ((b'{"type":"Nonsense"}',), "bad_message", "$.type"),
    ((b'{"type":"Transcript","session":"or1","seq":-1,"t":1,"text":"x"}',), "bad_message", "$.seq"),
    ((b'{"type":"Transcript","session":"or1","seq":1,"t":1e9,"text":"x"}',), "bad_message", "$.t"),
    ((b'{"type":"Transcript","session":"or1","seq":2,"t":1,"text":"a\\u0007b"}',), "bad_message", "U+0007"),
    ((b"Override", line(2, 1.0, "x")), "bad_message", "type frame"),
    ((line(2, 1.0, "x" * 9000) + b" " * 2000,), "oversized", "max_message_bytes"),
    ((line(2, 1.0, "x", "nobody"),), "unknown_session", "SessionStart"),
    (
        (b'{"type":"SessionStart","session":"z","seq":1,"t":0,"surgery":"Tonsillectomy"}',),
        "unknown_surgery",
        "Lobectomy",
    ),
    ((b'{"type":"Override","session":"or1","seq":2,"t":1,"machine":"M55","action":"ON"}',), "unknown_machine", "M55"),
    (
        (b'{"type":"Observation","session":"or1","seq":2,"t":1,"kind":"machine","label":"toaster","value":"ON"}',),
        "unknown_machine",
        "toaster",
    ),
]


@pytest.mark.parametrize(("frames", "reason", "told"), FAULTS, ids=[f"{r}-{n}" for n, (_, r, _) in enumerate(FAULTS)])
def test_a_faulty_message_is_a_dead_letter_with_its_reason_and_the_next_one_counts(
    sidecar: Sidecar, context: zmq.Context[zmq.Socket[bytes]], frames: tuple[bytes, ...], reason: str, told: str
) -> None:
    publisher = Publisher(context, sidecar.client.description.ingress[0])
    states = sidecar.states("or1", timeout_s=WAIT_S)
    publisher.send(start())
    publisher.send(*frames)
    publisher.send(line(9, 5.0, "suction on"))
    assert "M06" in rule_state(states, 9)["1"]
    publisher.close()
    sidecar.finish()
    letters = [event for event in sidecar.launch.events if isinstance(event, events.DeadLettered)]
    assert [letter.reason for letter in letters] == [reason]
    assert told in letters[0].error
    assert sidecar.launch.exit_code == 0


def test_a_flood_of_one_publisher_loses_nothing_of_another(
    sidecar: Sidecar, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    assert sidecar.wait_model()  # until then states are degraded
    loud, quiet = (Publisher(context, sidecar.client.description.ingress[0]) for _ in range(2))
    states = sidecar.states("quiet", timeout_s=WAIT_S)
    loud.send(start("loud"))
    quiet.send(start("quiet"))
    for number in range(5000):
        loud.send(b"{rubbish") if number % 2 else loud.send(line(number + 2, 0.01 * number, "suction on", "loud"))
        if number % 100 == 0:
            quiet.send(line(number + 2, 0.01 * number, "camera on", "quiet"))
    heard = []
    for state in states:
        # A degraded state repeats the newest input's: a question that grew too old in the flood says so.
        if state.state["source"] == "rule" and not state.degraded:
            heard.append(state.based_on)
        if state.based_on == 4902:
            break
    assert heard == [1, *range(2, 4903, 100)]
    loud.close()
    quiet.close()


def test_a_publisher_that_leaves_and_one_that_comes_late_change_nothing_for_a_session(
    sidecar: Sidecar, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    endpoint = sidecar.client.description.ingress[0]
    states = sidecar.states("or1", timeout_s=WAIT_S)
    first = Publisher(context, endpoint)
    first.send(start())
    first.send(line(2, 1.0, "suction on"))
    rule_state(states, 2)
    first.close()
    second = Publisher(context, endpoint)
    second.send(*frames_of(Transcript(session="or1", seq=1, t=2.0, publisher="late", text="camera on")))
    assert {"M06", "M08"} <= set(rule_state(states, 1)["1"])
    second.close()


def test_a_request_that_is_no_request_is_a_dead_letter_and_the_next_is_answered(
    sidecar: Sidecar, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with context.socket(zmq.REQ) as asker:
        asker.setsockopt(zmq.REQ_RELAXED, 1)
        asker.connect(sidecar.launch.wait_ready(1).requests)
        asker.send(b"{broken")
        asker.send(b'{"type":"LLMRequest","request_id":"q1","surgery":"PCNL","transcript_context":"suction on"}')
        assert asker.poll(30_000)
        kind, payload = asker.recv_multipart()
    assert kind == b"LLMResponse"
    assert msgspec.json.decode(payload)["request_id"] == "q1"
