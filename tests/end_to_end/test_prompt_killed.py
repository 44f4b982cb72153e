"""A kill -9 of the prompt process in a running pipeline: it is told and mended, and a request has one answer."""

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from pipeline import events
from pipeline.aio import AsyncSidecar
from pipeline.client import Client, Sidecar, States
from pipeline.journal import read_records
from pipeline.messages import LLMRequest, LLMResponse, SessionStart, StageStatus, SurgeryState, Transcript

WAIT_S = 30.0


def say(sidecar: Sidecar, seq: int, t: float, text: str) -> None:
    """Start the session, or once more, and say something in it."""
    sidecar.publish(SessionStart(session="or1", seq=seq, t=t, surgery="PCNL"))
    sidecar.publish(Transcript(session="or1", seq=seq + 1, t=t + 1.0, speaker="Surgeon", text=text))


def answered_by_the_model(states: States, seq: int) -> SurgeryState:
    """The state of that input with the model's part."""
    return next(state for state in states if state.based_on == seq and state.state["source"] == "rule+stub")


def until_prompt(states: States, condition: Callable[[StageStatus], bool]) -> StageStatus:
    """The prompt process as the pipeline's status tells it, once the condition holds."""
    while not condition(prompt := states.wait_status(WAIT_S).stages["prompt"]):
        pass
    return prompt


def is_ready_again(prompt: StageStatus) -> bool:
    return prompt.state == "ready" and prompt.restarts == 1


def has_a_request(prompt: StageStatus) -> bool:
    return prompt.counters.get("requests_open") == 1.0


def answers_in(journal: Path, request_id: str) -> set[bytes]:
    """The different answers to that request in the journals of all prompt processes of a run."""
    found = set()
    for file in sorted(journal.glob("inputs-*.mcap")):
        for record in read_records(file):
            if record.topic == "LLMResponse":
                answer = msgspec.msgpack.decode(record.payload, type=LLMResponse)
                if answer.request_id == request_id:
                    found.add(record.payload)
    return found


def test_a_killed_prompt_process_is_told_and_started_again_and_a_session_started_anew_has_states(
    settings: tuple[str, ...],
) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        sidecar.wait_model()
        states = sidecar.states("or1", timeout_s=WAIT_S)
        say(sidecar, 1, 0.0, "turn on the suction")
        answered_by_the_model(states, 2)
        killed = states.wait_status(WAIT_S).stages["prompt"].pid
        os.kill(killed, signal.SIGKILL)
        again = until_prompt(states, is_ready_again)
        say(sidecar, 3, 10.0, "camera on")
        assert "M08" in answered_by_the_model(states, 4).state["machines"]["1"]
        assert states.gaps == 0
        assert sidecar.finish() == 0
        happened = sidecar.launch.events
    deaths = [(e.stage, e.pid, e.how) for e in happened if isinstance(e, events.StageDied)]
    assert deaths == [("prompt", killed, "killed by SIGKILL")]
    ready = [(e.pid, e.restarts) for e in happened if isinstance(e, events.StageReady) and e.stage == "prompt"]
    assert ready == [(killed, 0), (again.pid, 1)]


def test_a_request_under_way_when_the_prompt_process_is_killed_has_exactly_one_answer(
    settings: tuple[str, ...],
) -> None:
    request = LLMRequest(request_id="q1", surgery="PCNL", transcript_context="[10.0s] Surgeon: turn on the suction")
    with Sidecar(model="stub", settings=(*settings, "supervision.busy_s=60.0")) as sidecar:
        sidecar.wait_model()
        states = sidecar.states(timeout_s=WAIT_S)
        ready = sidecar.launch.wait_ready(1)
        stages = states.wait_status(WAIT_S).stages
        with Client(ready.requests) as client, ThreadPoolExecutor(1) as thread:
            os.kill(stages["inference"].pid, signal.SIGSTOP)  # the request stays open until it goes on
            asked = thread.submit(client.submit, request)
            until_prompt(states, has_a_request)
            os.kill(stages["prompt"].pid, signal.SIGKILL)
            until_prompt(states, lambda prompt: is_ready_again(prompt) and has_a_request(prompt))
            os.kill(stages["inference"].pid, signal.SIGCONT)
            answer = asked.result()
        assert sidecar.submit(request) == answer
        assert sidecar.finish() == 0
    assert answer.outcome == "ok"
    assert answer.output is not None
    assert "M06" in answer.output["machines"]["1"]
    assert answers_in(Path(ready.journal), "q1") == {msgspec.msgpack.encode(answer)}


def test_a_session_goes_on_after_its_prompt_process_was_killed_and_is_not_started_again(
    settings: tuple[str, ...],
) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        sidecar.wait_model()
        states = sidecar.states("or1", timeout_s=WAIT_S)
        say(sidecar, 1, 0.0, "turn on the suction")
        answered_by_the_model(states, 2)
        os.kill(states.wait_status(WAIT_S).stages["prompt"].pid, signal.SIGKILL)
        until_prompt(states, is_ready_again)
        sidecar.publish(Transcript(session="or1", seq=3, t=10.0, text="camera on"))
        sidecar.publish(Transcript(session="or1", seq=4, t=20.0, text="turn it off again"))
        last = answered_by_the_model(states, 4)
        assert "M06" in last.state["machines"]["1"]
        assert "M08" in last.state["machines"]["0"]
        assert states.gaps == 0
        assert sidecar.finish() == 0


def test_a_killed_parse_process_counts_the_states_on(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        sidecar.wait_model()
        states = sidecar.states("or1", timeout_s=WAIT_S)
        say(sidecar, 1, 0.0, "turn on the suction")
        before = answered_by_the_model(states, 2)
        os.kill(states.wait_status(WAIT_S).stages["parse"].pid, signal.SIGKILL)
        while (parse := states.wait_status(WAIT_S).stages["parse"]).restarts != 1 or parse.state != "ready":
            pass
        sidecar.publish(Transcript(session="or1", seq=3, t=10.0, text="camera on"))
        after = next(state for state in states if state.based_on == 3)
        assert after.seq > before.seq
        assert sidecar.finish() == 0
    assert after.state["machines"]["1"] == ["M01", "M06", "M08", "M09"]


def test_inference_that_dies_too_often_rests_and_the_rules_carry_on(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=(*settings, "supervision.restarts_per_minute=1")) as sidecar:
        sidecar.wait_model()
        states = sidecar.states("or1", timeout_s=WAIT_S)
        for restarts in (0, 1):
            while (it := states.wait_status(WAIT_S).stages["inference"]).restarts != restarts or it.state != "ready":
                pass
            os.kill(it.pid, signal.SIGKILL)
        while states.wait_status(WAIT_S).stages["inference"].restarts != 2:
            pass
        say(sidecar, 1, 0.0, "turn on the suction")
        state = next(state for state in states if state.based_on == 2)
        assert (state.outcome, state.degraded) == ("stage_crashed", True)
        assert "died 2 times within a minute (killed by SIGKILL); it is started again in" in str(
            state.state["metadata"]
        )
        assert "M06" in state.state["machines"]["1"]
        assert sidecar.finish() == 0


def lines(first: int, count: int) -> list[Transcript]:
    """Lines of one session, one after another."""
    return [Transcript(session="or1", seq=seq, t=float(seq), text="hello") for seq in range(first, first + count)]


def test_nothing_that_was_published_is_lost_with_the_prompt_process(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        pid = states.wait_status(WAIT_S).stages["prompt"].pid
        for message in lines(2, 300):
            sidecar.publish(message)
        os.kill(pid, signal.SIGKILL)
        for message in lines(302, 300):
            sidecar.publish(message)
        sidecar.flush()
        missing = set(range(2, 602))
        for state in states:
            missing.discard(state.based_on)
            if not missing:
                break
        status = sidecar.status()
        assert sidecar.finish() == 0
    assert not missing
    assert status.all_dropped.get("gap", 0) == 0


def test_nor_is_what_was_published_by_the_asyncio_client(settings: tuple[str, ...]) -> None:
    async def lost() -> set[int]:
        async with AsyncSidecar(model="stub", settings=settings) as sidecar:
            states = await sidecar.states("or1")
            await sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
            pid = (await states.wait_status(WAIT_S)).stages["prompt"].pid
            for message in lines(2, 300):
                await sidecar.publish(message)
            os.kill(pid, signal.SIGKILL)
            for message in lines(302, 300):
                await sidecar.publish(message)
            await sidecar.flush()
            missing = set(range(2, 602))
            async for state in states:
                missing.discard(state.based_on)
                if not missing:
                    break
            return missing

    assert asyncio.run(asyncio.wait_for(lost(), 2 * WAIT_S)) == set()
