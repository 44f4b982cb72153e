"""Who may connect: real processes that speak TCP with keys, a client that is known, and strangers."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from loopback import addresses

from pipeline import curve
from pipeline.aio import AsyncClient
from pipeline.client import Client, Sidecar
from pipeline.errors import ConfigError, OrstateError
from pipeline.keys import generate
from pipeline.log import Log
from pipeline.messages import LLMRequest, SessionStart, SurgeryState, Transcript
from pipeline.wire_format import DESCRIBE, frames_of

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
WAIT_MS = 30_000
SILENCE_MS = 300  # a stranger is turned away in a few: what did not come by now does not come

CAUSES = ("denied", "plain", "broken", "left")
# What a peer without keys says first (ZMTP 3.0: signature, version, mechanism, not a server)
PLAIN_GREETING = b"\xff" + bytes(7) + b"\x01\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)

Socket = zmq.Socket[bytes]


class Outside:
    """Sockets of other programs. They are held: pyzmq closes what nobody holds."""

    def __init__(self) -> None:
        self._context: zmq.Context[Socket] = zmq.Context()
        self._context.setsockopt(zmq.LINGER, 0)
        self._held: list[Socket] = []

    def socket(self, kind: int) -> Socket:
        self._held.append(self._context.socket(kind))
        return self._held[-1]

    def connected(self, kind: int, endpoint: str, keys: Path | None) -> Socket:
        """A client with those keys, or without."""
        socket = self.socket(kind)
        if keys is not None:
            curve.call(socket, found := curve.load_keys(keys, "keys"), found.server)
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(endpoint)
        return socket

    def close(self) -> None:
        self._context.destroy()


@pytest.fixture
def keys(run_folder: Path) -> Path:
    folder = run_folder / "keys"
    generate(folder, ["camera"])
    return folder


@pytest.fixture
def unknown(run_folder: Path, keys: Path) -> Path:
    """The keys of one whom the pipeline does not know, but who knows the pipeline's public key."""
    generate(run_folder / "other", ["thief"])
    given = run_folder / "other" / "given" / "thief"
    shutil.copy(keys / "server.key", given)
    return given


@pytest.fixture
def sidecar(settings: tuple[str, ...], keys: Path) -> Iterator[Sidecar]:
    bind, requests, states = addresses(3)
    security = (f"security.keys={str(keys)!r}", f"security.clients={str(keys / 'clients')!r}")
    outer = (f"ingress.bind={bind}", f"ingress.requests={requests}", f"egress.states={states}")
    with Sidecar(model="stub", settings=(*settings, *security, *outer)) as sidecar:
        sidecar.wait_model()
        yield sidecar


@pytest.fixture
def outside() -> Iterator[Outside]:
    made = Outside()
    yield made
    made.close()


def start(session: str = "or1") -> SessionStart:
    return SessionStart(session=session, seq=1, t=0.0, surgery="PCNL")


def line(seq: int, t: float, text: str, session: str = "or1") -> Transcript:
    return Transcript(session=session, seq=seq, t=t, text=text, speaker="Surgeon")


def moves(client: Client | Sidecar, session: str) -> None:
    """A client publishes, reads states, and asks."""
    states = client.states(session, timeout_s=WAIT_S)
    client.publish(start(session))
    client.publish(line(2, 5.0, "turn on the suction", session))
    assert "M06" in next(state for state in states if state.based_on == 2).state["machines"]["1"]
    answer = client.submit(
        LLMRequest(request_id=session, surgery="PCNL", transcript_context="[1.0s] Surgeon: suction on")
    )
    assert answer.success


def stream(endpoint: str) -> socket.socket:
    host, _, port = endpoint.removeprefix("tcp://").partition(":")
    return socket.create_connection((host, int(port)))


def counted(sidecar: Sidecar, stage: str, least: int, *causes: str) -> dict[str, float]:
    """The stage's counters, once so many strangers were turned away by these causes."""
    states = sidecar.states()
    while True:
        counters = states.wait_status(WAIT_S).stages[stage].counters
        if sum(counters.get(f"strangers.{cause}", 0.0) for cause in causes) >= least:
            return counters


def test_a_known_client_publishes_asks_and_reads_states(sidecar: Sidecar, keys: Path) -> None:
    with Client(sidecar.launch.wait_ready(1).requests, keys=keys / "given" / "camera") as client:
        moves(client, "or1")
        states = client.states()
        while True:  # a status may be from before a stage has counted
            counters = states.wait_status(WAIT_S).stages
            if all("strangers.denied" in counters[stage].counters for stage in ("prompt", "parse")):
                break
    for stage in ("prompt", "parse"):
        assert {cause: counters[stage].counters[f"strangers.{cause}"] for cause in CAUSES} == dict.fromkeys(CAUSES, 0.0)


def test_who_launched_the_pipeline_has_its_keys(sidecar: Sidecar) -> None:
    moves(sidecar, "or1")


def test_a_known_client_works_with_asyncio_too(sidecar: Sidecar, keys: Path) -> None:
    async def moves() -> SurgeryState:
        async with AsyncClient(sidecar.launch.wait_ready(1).requests, keys=keys / "given" / "camera") as client:
            states = await client.states("or1")
            await client.publish(start())
            await client.publish(line(2, 5.0, "turn on the suction"))
            async for state in states:
                if state.based_on == 2:
                    return state
        raise AssertionError("the states ended")

    assert "M06" in asyncio.run(moves()).state["machines"]["1"]


@pytest.mark.parametrize("causes", [("plain", "left"), ("denied",)])
def test_a_stranger_gets_nothing_is_counted_by_cause_and_the_others_go_on(
    sidecar: Sidecar, outside: Outside, unknown: Path, causes: tuple[str, ...]
) -> None:
    description, requests = sidecar.client.description, sidecar.launch.wait_ready(1).requests
    theirs = unknown if causes == ("denied",) else None
    asker = outside.connected(zmq.DEALER, requests, theirs)
    publisher = outside.connected(zmq.XPUB, description.ingress[0], theirs)
    pushing = outside.connected(zmq.PUB, description.ingress[0], theirs)
    reader = outside.connected(zmq.SUB, description.states, theirs)
    asker.send_multipart(DESCRIBE)
    asker.send_multipart(frames_of(LLMRequest(request_id="stolen", surgery="PCNL")))
    for stage, least in (("prompt", 3), ("parse", 1)):
        counters = counted(sidecar, stage, least, *causes)
        assert sum(counters[f"strangers.{cause}"] for cause in CAUSES if cause not in causes) == 0.0
    for _ in range(5):
        pushing.send_multipart(frames_of(start("stolen")))
    moves(sidecar, "or1")
    assert not any(stranger.poll(SILENCE_MS) for stranger in (asker, publisher, reader))
    while (counters := counted(sidecar, "prompt", 3, *causes))["requests_open"] or not counters.get("requests"):
        pass
    assert counters["accepted.SessionStart"] == counters["requests"] == 1.0


def test_a_client_without_keys_is_told_what_may_be_wrong(sidecar: Sidecar, unknown: Path) -> None:
    requests = sidecar.launch.wait_ready(1).requests
    with pytest.raises(OrstateError, match=r"nobody answers .* does it want keys\?"):
        Client(requests, timeout_s=0.5)
    with pytest.raises(OrstateError, match=r"nobody answers .* does it know our keys"):
        Client(requests, timeout_s=0.5, keys=unknown)
    moves(sidecar, "or1")


def test_a_client_that_takes_another_for_the_pipeline_tells_it_nothing(
    sidecar: Sidecar, outside: Outside, keys: Path
) -> None:
    false = curve.load_keys(keys / "given" / "camera", "keys")
    generate(keys.parent / "other", [])
    asker = outside.socket(zmq.DEALER)
    curve.call(asker, false, curve.load_public(keys.parent / "other" / "server.key", "keys"))
    asker.connect(sidecar.launch.wait_ready(1).requests)
    asker.send_multipart(DESCRIBE)
    counted(sidecar, "prompt", 1, "broken")
    assert not asker.poll(SILENCE_MS)


def test_a_peer_without_keys_hears_no_more_than_that_keys_are_wanted(sidecar: Sidecar) -> None:
    with stream(sidecar.client.description.states) as peer:
        peer.sendall(PLAIN_GREETING)
        heard = b"".join(iter(lambda: peer.recv(1000), b""))
    assert len(heard) <= len(PLAIN_GREETING)
    counted(sidecar, "parse", 1, "plain")


def test_what_speaks_another_protocol_is_counted(sidecar: Sidecar) -> None:
    with stream(sidecar.client.description.states) as browser:
        browser.sendall(b"GET / HTTP/1.0\r\n\r\n")
        counted(sidecar, "parse", 1, "no_handshake")


def test_a_client_may_be_added_and_sent_away_while_the_pipeline_runs(sidecar: Sidecar, keys: Path) -> None:
    requests = sidecar.launch.wait_ready(1).requests
    generate(keys, ["screen"])
    with Client(requests, keys=keys / "given" / "screen") as client:
        moves(client, "or1")
    (keys / "clients" / "screen.key").unlink()
    with pytest.raises(OrstateError, match="nobody answers"):
        Client(requests, timeout_s=0.5, keys=keys / "given" / "screen")
    moves(sidecar, "or2")


@pytest.mark.parametrize("stage", ["prompt", "parse"])
def test_a_known_client_goes_on_when_a_process_was_killed(sidecar: Sidecar, keys: Path, stage: str) -> None:
    with Client(sidecar.launch.wait_ready(1).requests, keys=keys / "given" / "camera", timeout_s=WAIT_S) as client:
        moves(client, "or1")
        watched = client.states("or2", timeout_s=WAIT_S)
        os.kill(watched.wait_status(WAIT_S).stages[stage].pid, signal.SIGKILL)
        while (killed := watched.wait_status(WAIT_S).stages[stage]).restarts == 0 or killed.state != "ready":
            pass
        client.publish(start("or2"))
        assert next(watched).session == "or2"


def test_publish_and_subscribe_use_the_keys_that_they_are_given(sidecar: Sidecar, keys: Path) -> None:
    to = ("--to", sidecar.launch.wait_ready(1).requests, "--keys", str(keys / "given" / "camera"))
    command = [sys.executable, str(ROOT / "run_pipeline.py")]
    watching = subprocess.Popen(
        [*command, "subscribe", "--json", *to], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert watching.stderr.readline() == "subscribed; Ctrl-C ends it\n"
    typed = subprocess.run(
        [*command, "publish", "-", "--surgery", "PCNL", *to], input="suction on\n", text=True, capture_output=True
    )
    assert typed.returncode == 0, typed.stderr
    assert any("M06" in json.loads(said)["state"]["machines"]["1"] for said in watching.stdout)
    watching.terminate()
    watching.communicate(timeout=30)


def publisher_with_keys(outside: Outside, folder: Path, endpoint: str) -> Callable[..., None]:
    """A camera of another maker: it binds, and lets in whoever knows its public key."""
    camera = outside.socket(zmq.XPUB)
    pair = curve.load_keys(folder, "keys")
    camera.curve_secretkey, camera.curve_publickey, camera.curve_server = pair.secret, pair.public, True
    camera.bind(endpoint)

    def send(*messages: SessionStart | Transcript) -> None:
        assert camera.poll(WAIT_MS)
        assert camera.recv() == b"\x01"
        for message in messages:
            camera.send_multipart(frames_of(message))

    return send


def test_a_publisher_that_is_connected_to_shows_its_key(
    settings: tuple[str, ...], keys: Path, outside: Outside, run_folder: Path
) -> None:
    generate(run_folder / "camera", [])
    true, false = addresses(2)
    speak = publisher_with_keys(outside, run_folder / "camera", true)
    publisher_with_keys(outside, keys / "given" / "camera", false)
    key = str(run_folder / "camera" / "server.key")
    security = (
        f"security.keys={str(keys)!r}",
        f"security.clients={str(keys / 'clients')!r}",
        f"security.publishers={{{true!r}={key!r}, {false!r}={key!r}}}",
        f"ingress.connect=[{true!r}, {false!r}]",
    )
    with Sidecar(model="stub", settings=(*settings, *security)) as sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        speak(start(), line(2, 5.0, "turn on the suction"))
        assert "M06" in next(state for state in states if state.based_on == 2).state["machines"]["1"]
        watched = sidecar.states()
        while watched.wait_status(WAIT_S).stages["prompt"].counters["publishers.refused"] < 1:
            pass


def test_record_lets_in_whom_it_knows_and_tells_whom_it_turned_away(
    run_folder: Path, keys: Path, outside: Outside
) -> None:
    (endpoint,) = addresses(1)
    security = [f"security.keys={str(keys)!r}", f"security.clients={str(keys / 'clients')!r}"]
    command = [
        sys.executable,
        str(ROOT / "run_pipeline.py"),
        "record",
        str(run_folder / "case.mcap"),
        "--bind",
        endpoint,
    ]
    recording = subprocess.Popen(
        [*command, *(argument for setting in security for argument in ("--set", setting))],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert recording.stderr is not None
    assert recording.stderr.readline().startswith("recording ")
    stranger = outside.connected(zmq.PUB, endpoint, None)
    watch = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    assert watch.poll(WAIT_MS)
    known = outside.connected(zmq.XPUB, endpoint, keys / "given" / "camera")
    assert known.recv() == b"\x01"
    known.send_multipart(frames_of(start()))
    known.close(linger=WAIT_MS)
    while not (run_folder / "case.mcap").exists() or b"PCNL" not in (run_folder / "case.mcap").read_bytes():
        assert recording.poll() is None
    recording.terminate()
    _, told = recording.communicate(timeout=60)
    assert recording.returncode == 0, told
    assert re.search("turned away: strangers[.](plain|left) [1-9]", told)
    assert [message.session for message in Log(run_folder / "case.mcap").messages] == ["or1", "or1"]  # and its end


def test_without_keys_a_pipeline_is_not_bound_where_others_reach_it(settings: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"egress.states = 'tcp://\*:5556': .* keys generate"):
        Sidecar(model="stub", settings=(*settings, "egress.states=tcp://*:5556")).start()
