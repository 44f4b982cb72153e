"""Where messages come in: publishers and clients on real sockets."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq
from queue_hop import await_readable, until

from pipeline.codec import encode, encode_json
from pipeline.errors import Rejected
from pipeline.ingress import HARD_LIMIT, Requests, Subscription
from pipeline.messages import Describe, Description, LLMRequest, LLMResponse, Transcript
from pipeline.sockets import Context, Socket, make_socket

LIMIT = 1000
LINE = Transcript(session="or1", seq=1, t=0.5, text="suction on")
QUESTION = LLMRequest(request_id="r1", surgery="PCNL")
ANSWER = LLMResponse(request_id="r1", outcome="ok", success=True, degraded=False)
DESCRIPTION = Description(ingress=("ipc:///r/ingress",), states="ipc:///r/states", frames=(), version="0.1.0")
SPACED = b" \n" + encode_json(QUESTION)


@pytest.fixture
def requests(context: Context, short_dir: Path) -> Requests:
    socket = make_socket(context, zmq.ROUTER, max_bytes=HARD_LIMIT * LIMIT)
    return Requests(socket, f"ipc://{short_dir}/requests", LIMIT, DESCRIPTION)


@pytest.fixture
def client(context: Context, requests: Requests, short_dir: Path) -> Callable[[int], Socket]:
    def connect(kind: int) -> Socket:
        socket = make_socket(context, kind)
        socket.connect(f"ipc://{short_dir}/requests")
        return socket

    return connect


def publisher(context: Context, endpoint: str, bind: bool = False) -> Socket:
    """A PUB socket that knows (as XPUB) when somebody listens."""
    socket = make_socket(context, zmq.XPUB)
    if bind:
        socket.bind(endpoint)
    else:
        socket.connect(endpoint)
    return socket


def heard(socket: Socket, subscription: Subscription) -> Socket:
    """The publisher, once it is listened to; a SUB socket subscribes when it is polled."""
    until(lambda: socket.poll(0) > 0, lambda: subscription.socket.poll(0), socket)
    assert socket.recv() == b"\x01"
    return socket


# --- publishers ------------------------------------------------------------------------------------------


def test_publishers_that_connect_and_publishers_that_bind_are_both_heard(context: Context, short_dir: Path) -> None:
    ours, theirs = f"ipc://{short_dir}/ingress", [f"ipc://{short_dir}/pub{n}" for n in range(2)]
    subscription = Subscription(make_socket(context, zmq.SUB), theirs, ours, LIMIT)
    publishers = [publisher(context, theirs[0], bind=True), publisher(context, theirs[1], bind=True)]
    publishers.append(publisher(context, ours))
    for number, socket in enumerate(publishers):
        heard(socket, subscription).send_multipart((b"Transcript", encode(msgspec.structs.replace(LINE, seq=number))))
        await_readable(subscription.socket)
        arrival = subscription.receive()
        assert arrival is not None
        assert arrival.message == msgspec.structs.replace(LINE, seq=number)
    assert subscription.receive() is None


def test_an_arrival_keeps_the_payload_as_it_was_received(context: Context, short_dir: Path) -> None:
    subscription = Subscription(make_socket(context, zmq.SUB), (), f"ipc://{short_dir}/in", LIMIT)
    socket = heard(publisher(context, f"ipc://{short_dir}/in"), subscription)
    odd = b"  " + encode_json(LINE)
    for frames in ([odd], [b"Transcript", odd], [b"Transcript", odd, b"raw buffer"]):
        socket.send_multipart(frames)
        await_readable(subscription.socket)
        arrival = subscription.receive()
        assert arrival is not None
        assert (arrival.payload, arrival.message) == (odd, LINE)


def test_a_bad_message_is_rejected_and_the_next_one_is_taken(context: Context, short_dir: Path) -> None:
    subscription = Subscription(make_socket(context, zmq.SUB), (), f"ipc://{short_dir}/in", LIMIT)
    socket = heard(publisher(context, f"ipc://{short_dir}/in"), subscription)
    for payload in (b"\xc1", b"x" * (LIMIT + 1), encode(LINE)):
        socket.send(payload)
    reasons = []
    for _ in range(2):
        await_readable(subscription.socket)
        with pytest.raises(Rejected) as caught:
            subscription.receive()
        reasons.append(caught.value.reason)
    assert reasons == ["bad_message", "oversized"]
    await_readable(subscription.socket)
    arrival = subscription.receive()
    assert arrival is not None
    assert arrival.message == LINE


def test_a_publisher_above_the_hard_limit_is_cut_off_and_another_is_still_heard(
    context: Context, short_dir: Path
) -> None:
    socket = make_socket(context, zmq.SUB, max_bytes=HARD_LIMIT * LIMIT)
    subscription = Subscription(socket, (), f"ipc://{short_dir}/in", LIMIT)
    flood, polite = (heard(publisher(context, f"ipc://{short_dir}/in"), subscription) for _ in range(2))
    monitor = flood.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    flood.send(b"x" * (HARD_LIMIT * LIMIT + 1))
    await_readable(monitor)
    flood.disable_monitor()
    polite.send(encode(LINE))
    await_readable(subscription.socket)
    arrival = subscription.receive()
    assert arrival is not None
    assert arrival.message == LINE


# --- clients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    ("payload", "decode"),
    [
        (encode(QUESTION), msgspec.msgpack.decode),
        (encode_json(QUESTION), msgspec.json.decode),
        (SPACED, msgspec.json.decode),
    ],
)
def test_an_answer_goes_the_way_and_in_the_encoding_of_its_question(
    requests: Requests,
    client: Callable[[int], Socket],
    kind: int,
    typed: bool,
    payload: bytes,
    decode: Callable[..., object],
) -> None:
    socket, other = client(kind), client(zmq.DEALER)
    socket.send_multipart([b"LLMRequest", payload] if typed else [payload])
    await_readable(requests.socket)
    arrival = requests.receive()
    assert arrival is not None
    assert (arrival.payload, arrival.message) == (payload, QUESTION)
    requests.answer(ANSWER)
    await_readable(socket)
    type_frame, answer = socket.recv_multipart()
    assert type_frame == b"LLMResponse"
    assert decode(answer, type=LLMResponse) == ANSWER
    assert not other.poll(0)
    assert requests.counters == {"requests.answers": 1}


def test_raw_buffers_behind_a_request_are_left_alone(requests: Requests, client: Callable[[int], Socket]) -> None:
    client(zmq.DEALER).send_multipart([b"LLMRequest", encode_json(QUESTION), b"\x00raw"])
    await_readable(requests.socket)
    arrival = requests.receive()
    assert arrival is not None
    assert (arrival.payload, arrival.message) == (encode_json(QUESTION), QUESTION)


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
@pytest.mark.parametrize(
    ("question", "decode"),
    [
        (encode(Describe()), msgspec.msgpack.decode),
        (encode_json(Describe()), msgspec.json.decode),
        (b' {"type":"Describe"}', msgspec.json.decode),
    ],
)
def test_a_client_that_asks_where_the_rest_is_is_told_at_once(
    requests: Requests,
    client: Callable[[int], Socket],
    kind: int,
    question: bytes,
    decode: Callable[..., object],
) -> None:
    socket = client(kind)
    socket.send_multipart([b"Describe", question])
    await_readable(requests.socket)
    assert requests.receive() is None
    await_readable(socket)
    type_frame, answer = socket.recv_multipart()
    assert type_frame == b"Description"
    assert decode(answer, type=Description) == DESCRIPTION


def test_an_input_at_the_request_endpoint_is_rejected_with_what_to_do(
    requests: Requests, client: Callable[[int], Socket]
) -> None:
    client(zmq.DEALER).send_multipart([b"Transcript", encode(LINE)])
    await_readable(requests.socket)
    with pytest.raises(Rejected, match="a Transcript without a number: send it as numbered, or publish it") as caught:
        requests.receive()
    assert caught.value.reason == "not_a_request"


def test_a_numbered_input_is_taken_and_confirmed_when_told_to(
    requests: Requests, client: Callable[[int], Socket]
) -> None:
    socket = client(zmq.DEALER)
    socket.send_multipart([b"Numbered 1 first", encode(LINE)])
    await_readable(requests.socket)
    arrival = requests.receive()
    assert arrival is not None
    assert arrival.message == LINE
    assert not socket.poll(0)  # it is not in the journal yet
    requests.confirm()
    await_readable(socket)
    assert socket.recv_multipart() == [b"Confirmed 1"]


def test_a_numbered_input_of_an_unknown_client_is_let_go_and_asked_for_again(
    requests: Requests, client: Callable[[int], Socket]
) -> None:
    socket = client(zmq.REQ)
    socket.send_multipart([b"Numbered 7", encode(LINE)])
    await_readable(requests.socket)
    assert requests.receive() is None
    requests.confirm()
    await_readable(socket)
    assert socket.recv_multipart() == [b"Resend 0"]


@pytest.mark.parametrize(
    "frames",
    [
        [b"Numbered 1 first"],
        [b"Numbered 1 first", b"\xc1"],
        [b"Numbered 1 first", encode(Describe())],
        [b"Numbered x", b""],
    ],
)
def test_a_numbered_message_that_is_no_input_is_rejected(
    requests: Requests, client: Callable[[int], Socket], frames: list[bytes]
) -> None:
    client(zmq.DEALER).send_multipart(frames)
    await_readable(requests.socket)
    with pytest.raises(Rejected) as caught:
        requests.receive()
    assert caught.value.reason == "bad_message"


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"\xc1"],
        [b"", b""],
        [b"LLMRequest"],
        [b"\xa8\xff\xff\xff\xff"],
        [b"\x81\xa4type\xa8\xff\xff\xff\xff....."],
    ],
)
def test_what_is_no_request_is_rejected(
    requests: Requests, client: Callable[[int], Socket], frames: list[bytes]
) -> None:
    client(zmq.DEALER).send_multipart(frames)
    await_readable(requests.socket)
    with pytest.raises(Rejected) as caught:
        requests.receive()
    assert caught.value.reason == "bad_message"


def test_who_asked_last_under_an_id_gets_the_one_answer(requests: Requests, client: Callable[[int], Socket]) -> None:
    first, second = client(zmq.DEALER), client(zmq.DEALER)
    for socket in (first, second):
        socket.send_multipart([b"LLMRequest", encode(QUESTION)])
        await_readable(requests.socket)
        assert requests.receive() is not None
    requests.answer(ANSWER)
    requests.answer(ANSWER)
    await_readable(second)
    assert second.recv_multipart()[0] == b"LLMResponse"
    assert not first.poll(0)
    assert requests.counters == {"requests.answers": 1, "dropped.answer_without_asker": 1}


def test_an_answer_to_a_client_that_left_is_counted_and_changes_nothing(
    requests: Requests, client: Callable[[int], Socket]
) -> None:
    gone = client(zmq.DEALER)
    gone.send_multipart([b"LLMRequest", encode(QUESTION)])
    await_readable(requests.socket)
    assert requests.receive() is not None
    monitor = requests.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    gone.close(linger=0)
    await_readable(monitor)
    requests.socket.disable_monitor()
    client(zmq.DEALER).send(encode(msgspec.structs.replace(QUESTION, request_id="later")))
    await_readable(requests.socket)
    assert requests.receive() is not None  # what came before it has been dealt with
    requests.answer(ANSWER)
    assert requests.counters["dropped.answer_unreachable"] == 1


def test_routes_of_requests_that_are_never_answered_are_forgotten_from_the_oldest(
    requests: Requests, client: Callable[[int], Socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Requests, "ROUTES", 2)
    socket = client(zmq.DEALER)
    for number in range(3):
        socket.send(encode(msgspec.structs.replace(QUESTION, request_id=f"r{number}")))
        await_readable(requests.socket)
        assert requests.receive() is not None
    for number in range(3):
        requests.answer(msgspec.structs.replace(ANSWER, request_id=f"r{number}"))
    assert requests.counters == {"dropped.answer_without_asker": 1, "requests.answers": 2}
