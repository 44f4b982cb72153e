"""What a video-analysis process does with the client: launch, publish, ask, listen, stop."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq

from pipeline import events
from pipeline.aio import AsyncClient, AsyncSidecar
from pipeline.client import Client, Sidecar, States
from pipeline.errors import ConfigError, OrstateError
from pipeline.journal import read_records
from pipeline.keys import generate
from pipeline.messages import (
    LLMRequest,
    Observation,
    Override,
    SessionEnd,
    SessionStart,
    SurgeryState,
    Transcript,
)
from pipeline.segment import folder

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0


def start(session: str = "or1", surgery: str = "PCNL", seq: int = 1, t: float = 0.0) -> SessionStart:
    return SessionStart(session=session, seq=seq, t=t, surgery=surgery)


def line(seq: int, t: float, text: str, session: str = "or1") -> Transcript:
    return Transcript(session=session, seq=seq, t=t, text=text, speaker="Surgeon")


def request(request_id: str, **changes: object) -> LLMRequest:
    fields = {
        "surgery": "PCNL",
        "transcript_context": "[10.0s] Surgeon: turn on the suction",
        "current_phase": "Phase4",
    }
    return LLMRequest(request_id=request_id, **{**fields, **changes})  # type: ignore[arg-type]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [int(s.getsockname()[1]) for s in sockets]


def until_counted(states: States, name: str, value: float) -> dict[str, float]:
    """The prompt process's counters, once one of them has that value."""
    while True:
        status = states.wait_status(WAIT_S)
        if (counters := status.stages["prompt"].counters).get(name) == value:
            return counters


@pytest.fixture
def sidecar(settings: tuple[str, ...]) -> Sidecar:
    return Sidecar(model="stub", settings=settings)


def test_a_video_process_launches_publishes_and_reads_states(sidecar: Sidecar) -> None:
    with sidecar:
        assert sidecar.wait_model()
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(line(2, 5.0, "turn on the suction"))
        fused = next(state for state in states if state.state["source"] != "rule")
    assert fused.based_on == 2
    assert "M06" in fused.state["machines"]["1"]
    assert fused.state["details"]["toggles"][0]["machine_id"] == "M06"


def test_default_on_machines_are_on_from_the_start(sidecar: Sidecar) -> None:
    with sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start(surgery="Partial Hepatectomy"))
        assert next(states).state["machines"]["1"] == ["M01", "M07", "M09"]


def test_starting_and_stopping_twice_is_no_error(sidecar: Sidecar) -> None:
    assert sidecar.start() is sidecar.start()
    assert sidecar.stop() == 0
    assert sidecar.stop() == 0
    with pytest.raises(OrstateError, match="not started"):
        sidecar.publish(start())


def test_a_request_gets_its_answer_and_the_same_one_when_it_is_repeated(sidecar: Sidecar) -> None:
    with sidecar:
        sidecar.wait_model()
        first = sidecar.submit(request("q1"))
        again = sidecar.submit(request("q1"))
        other = sidecar.submit(request("q2"))
    assert first.success
    assert first.output is not None
    assert "M06" in first.output["machines"]["1"]
    assert first.output["source"] == "rule+stub"
    assert first.model_name == "stub"
    assert {"inference", "total"} <= set(first.timings)
    assert again == first
    assert other.request_id == "q2"


def test_a_request_for_an_unknown_surgery_is_rejected_with_the_known_ones(sidecar: Sidecar) -> None:
    with sidecar:
        answer = sidecar.submit(request("q1", surgery="Appendectomy"))
    assert (answer.outcome, answer.success, answer.output) == ("rejected", False, None)
    assert "Lobectomy" in answer.error


def test_a_request_without_a_model_is_answered_by_the_rules_degraded(settings: tuple[str, ...]) -> None:
    with Sidecar(model="/nowhere/none.gguf", settings=settings) as sidecar:
        assert not sidecar.wait_model()
        answer = sidecar.submit(request("q1"))
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(line(2, 1.0, "camera on"))
        first, second = next(states), next(states)
    assert (answer.outcome, answer.degraded) == ("model_unavailable", True)
    assert "/nowhere/none.gguf" in answer.error
    assert answer.output is not None
    assert "M06" in answer.output["machines"]["1"]
    assert answer.output["metadata"]["phase"] == "Phase4"
    assert {first.outcome, second.outcome} == {"model_unavailable"}
    assert second.degraded
    assert second.state["source"] == "rule"
    assert "M08" in second.state["machines"]["1"]
    assert second.state["metadata"]["phase"] == "Phase1"


def test_an_override_holds_until_it_is_released(sidecar: Sidecar) -> None:
    def on(states: list[SurgeryState]) -> list[bool]:
        return ["M06" in state.state["machines"]["1"] for state in states]

    with sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(Override(session="or1", seq=2, t=1.0, machine="M06", action="ON", reason="by hand"))
        sidecar.publish(line(3, 5.0, "suction off"))
        sidecar.publish(Override(session="or1", seq=4, t=6.0, machine="M06", action="RELEASE"))
        sidecar.publish(line(5, 12.0, "suction off"))
        by_rules = []
        for state in states:
            if state.state["source"] == "rule":
                by_rules.append(state)
            if len(by_rules) == 5:
                break
    assert on(by_rules) == [False, True, True, True, False]


def test_a_change_of_surgery_starts_with_clean_machines(sidecar: Sidecar) -> None:
    with sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(line(2, 1.0, "start the ventilator"))
        sidecar.publish(start(surgery="Lobectomy", seq=3, t=20.0))
        latest = next(state for state in states if state.based_on == 3)
    assert latest.state["metadata"]["surgery"] == "Lobectomy"
    assert latest.state["machines"]["1"] == ["M01", "M09"]


def test_frames_travel_by_shared_memory_and_an_overwritten_one_is_counted(settings: tuple[str, ...]) -> None:
    frame = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    with Sidecar(model="stub", settings=(*settings, "frames.slots=2", "frames.journal=true")) as sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        saw = Observation(session="or1", seq=2, t=1.0, kind="event", label="scope in view", confidence=0.9)
        sidecar.publish(saw, frame)
        next(state for state in states if state.based_on == 2)
        writer = sidecar.client._frames
        assert writer is not None
        stale = writer.write(frame)
        writer.write(frame)
        writer.write(frame)
        old = Observation(session="or1", seq=3, t=2.0, kind="event", label="late", frame=stale)
        sidecar.publish(old)
        next(state for state in states if state.based_on == 3)
        journal = Path(sidecar.launch.wait_ready(1).journal)
        counters = until_counted(states, "frames", 2)
    assert (counters["frames"], counters["dropped.frame_overwritten"]) == (2, 1)
    kept = [record for record in read_records(journal / "inputs-1.mcap") if record.topic == "Frame"]
    assert len(kept) == 1
    assert frame.tobytes() in kept[0].payload


def test_two_sessions_do_not_touch_each_other(sidecar: Sidecar) -> None:
    with sidecar:
        states = sidecar.states(timeout_s=WAIT_S)
        sidecar.publish(start("a"))
        sidecar.publish(start("ab", surgery="Lobectomy"))
        sidecar.publish(line(2, 1.0, "suction on", "a"))
        sidecar.publish(line(2, 1.0, "camera on", "ab"))
        newest: dict[str, SurgeryState] = {}
        while len(newest) < 2:
            state = next(states)
            if state.based_on == 2 and state.state["source"] == "rule":
                newest[state.session] = state
    assert newest["a"].state["machines"]["1"] == ["M01", "M06", "M09"]
    assert newest["ab"].state["machines"]["1"] == ["M01", "M04", "M09"]


def test_a_second_client_talks_to_a_sidecar_that_runs_already(sidecar: Sidecar) -> None:
    with sidecar, Client(sidecar.launch.wait_ready(1).requests) as client:
        states = client.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        assert next(states).session == "or1"


def test_a_client_of_nobody_says_so() -> None:
    with pytest.raises(OrstateError, match="nobody answers"):
        Client("ipc:///tmp/or-nobody-here", timeout_s=0.2)


WRONG = {
    "": "it names no transport",
    "or-nobody": "it names no transport",
    "udp://127.0.0.1:5555": "udp:// is no transport",
    "tcp://127.0.0.1": "tcp:// needs an address other than * and a port",
    "tcp://no host:5555": "tcp:// needs an address",
    "ipc://": "ipc:// needs a path",
    "ipc:///tmp/" + "x" * 200: "ipc:// needs a path of 1 to 107 bytes",
}


async def connect_async(endpoint: str) -> None:
    async with AsyncClient(endpoint, timeout_s=0.2):
        pass


def connect_blocking(endpoint: str) -> None:
    Client(endpoint, timeout_s=0.2)


def connect_asyncio(endpoint: str) -> None:
    asyncio.run(connect_async(endpoint))


@pytest.mark.parametrize("connect", [connect_blocking, connect_asyncio])
@pytest.mark.parametrize("endpoint", WRONG)
def test_what_is_no_endpoint_is_told_with_the_reason(connect: Callable[[str], None], endpoint: str) -> None:
    with pytest.raises(OrstateError) as caught:
        connect(endpoint)
    assert str(caught.value).startswith(f"requests = {endpoint!r}: {WRONG[endpoint]}")


@pytest.mark.parametrize("connect", [connect_blocking, connect_asyncio])
def test_an_endpoint_in_a_folder_that_does_not_exist_is_told(connect: Callable[[str], None]) -> None:
    with pytest.raises(OrstateError, match=r"ipc:///nowhere/at/all: the folder /nowhere/at does not exist"):
        connect("ipc:///nowhere/at/all")


def test_a_sidecar_that_listens_on_all_addresses_is_reached(settings: tuple[str, ...], run_folder: Path) -> None:
    keys = ("ingress.bind", "ingress.requests", "egress.states")
    everywhere = [f"{key}='tcp://*:{port}'" for key, port in zip(keys, free_ports(len(keys)), strict=True)]
    generate(run_folder / "keys", [])
    security = (f"security.keys='{run_folder}/keys'", f"security.clients='{run_folder}/keys/clients'")
    with Sidecar(model="stub", settings=(*settings, *security, *everywhere)) as sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        assert next(states).session == "or1"


def test_a_sidecar_with_a_wrong_setting_fails_with_the_key(settings: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"prompt.window"):
        Sidecar(model="stub", settings=(*settings, "prompt.window=3")).start()


def test_the_same_for_asyncio(settings: tuple[str, ...]) -> None:
    async def use() -> tuple[list[str], SurgeryState]:
        async with AsyncSidecar(model="stub", settings=settings) as sidecar:
            assert await sidecar.wait_model()
            states = await sidecar.states("or1")
            await sidecar.publish(start())
            await sidecar.publish(line(2, 4.0, "turn on the irrigation"))
            answers = await asyncio.gather(*(sidecar.submit(request(f"q{n}")) for n in range(8)))
            async for state in states:
                if state.state["source"] != "rule":
                    break
            assert sidecar.launch is not None
            async with AsyncClient(sidecar.launch.wait_ready(1).requests) as second:
                repeated = await second.submit(request("q3"))
            assert repeated == answers[3]
            return [answer.request_id for answer in answers if answer.success], state

    ids, state = asyncio.run(use())
    assert ids == [f"q{n}" for n in range(8)]
    assert "M05" in state.state["machines"]["1"]


def test_when_the_launcher_dies_the_sidecar_finishes_and_stops(run_folder: Path, settings: tuple[str, ...]) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pipeline.client import Sidecar
sidecar = Sidecar(model="stub", settings={settings!r}).start()
print(sidecar.launch.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    launcher = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert launcher.returncode == -signal.SIGKILL
    pid = int(launcher.stdout)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=WAIT_S)
    assert not psutil.pid_exists(pid)
    assert not list(folder().glob(f"orstate-{pid}-*"))
    for left in (run_folder / "tmp").iterdir():  # the launcher's to remove, and it was killed: empty
        left.rmdir()


def test_when_the_supervisor_is_killed_its_stages_go_and_the_launcher_cleans_up(sidecar: Sidecar) -> None:
    sidecar.start()
    stages = psutil.Process(sidecar.launch.pid).children(recursive=True)
    os.kill(sidecar.launch.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(stages, timeout=WAIT_S)
    assert not alive
    assert sidecar.stop() == -signal.SIGKILL


def test_a_stage_that_was_stopped_is_found_by_its_budget_and_started_again(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=(*settings, "supervision.busy_s=2.0")) as sidecar:
        sidecar.wait_model()
        sidecar_events = sidecar.launch.events
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(line(2, 1.0, "camera on"))
        next(state for state in states if state.state["source"] == "rule+stub")  # all three stages are ready
        pid = next(e.pid for e in sidecar.launch.events if isinstance(e, events.StageReady) and e.stage == "inference")
        os.kill(pid, signal.SIGSTOP)
        sidecar.publish(line(3, 9.0, "suction on"))
        seen: list[SurgeryState] = []
        for state in states:
            seen.append(state)
            if state.based_on == 3 and state.state["source"] == "rule+stub":
                break
    by_rules = [state for state in seen if state.based_on == 3 and state.state["source"] == "rule"]
    assert "M06" in by_rules[0].state["machines"]["1"]  # at once, while nobody knew of the hang
    assert any(state.outcome == "stage_crashed" for state in seen)
    died = next(event for event in sidecar_events if isinstance(event, events.StageDied))
    assert died.how == "hung (no sign of life for 2 s), killed by SIGKILL"


def test_a_json_publisher_in_another_language_is_understood(sidecar: Sidecar) -> None:
    with sidecar, zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        states = sidecar.states("js", timeout_s=WAIT_S)
        socket.connect(sidecar.client.description.ingress[0])
        assert socket.recv() == b"\x01"
        socket.send(b'{"type":"SessionStart","session":"js","seq":1,"t":0,"surgery":"lobectomy"}')
        socket.send_multipart(
            [b"Transcript", b'{"type":"Transcript","session":"js","seq":2,"t":1.5,"text":"insufflation start"}']
        )
        assert next(states).state["metadata"]["surgery"] == "Lobectomy"
        assert "M05" in next(states).state["machines"]["1"]


def test_a_rest_of_a_session_is_forgotten_after_its_end(sidecar: Sidecar) -> None:
    with sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(start())
        sidecar.publish(line(2, 1.0, "suction on"))
        sidecar.publish(SessionEnd(session="or1", seq=3, t=2.0))
        sidecar.publish(start(seq=4, t=0.0))
        latest = next(state for state in states if state.based_on == 4)
    assert latest.state["machines"]["1"] == ["M01", "M09"]
