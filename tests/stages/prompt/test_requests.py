"""Explicit requests: each brings its own state, and touches no session."""

from typing import Any

import pytest
from prompt_room import SECOND, Room, given_up, job, outcome, request, response, types

from pipeline.messages import LLMResponse, PromptJob


def test_a_request_brings_its_own_state_and_the_rules_read_every_line() -> None:
    context = "[1.0s] Surgeon: start the suction\nirrigation on\n[3.0s] Nurse: stop the suction\nhello: turn it"
    asked = job(
        Room().send(
            request(
                transcript_context=context,
                current_phase="Phase4",
                session_time_s=65.0,
                current_machines={"1": ["M07", "M06"], "0": ["M09"]},
            )
        )
    )
    rules = asked.rules
    assert rules.machines == {
        **{"M01": "ON", "M02": "OFF", "M03": "OFF", "M04": "OFF", "M05": "ON"},
        **{"M06": "OFF", "M07": "ON", "M08": "OFF", "M09": "OFF"},
    }
    assert (rules.phase, rules.next_phase, rules.t) == ("Phase4", "Phase5", 65.0)
    assert [(t.machine_id, t.action) for t in rules.toggles] == [("M06", "OFF"), ("M05", "ON")]
    assert asked.prompt.transcript.startswith("[1.0s] Surgeon: start the suction\n[65.0s] irrigation on\n")
    assert (asked.kind, asked.job_id, asked.deadline_ns) == ("request", "r/1/q1", 35 * SECOND)


def test_a_request_touches_no_session() -> None:
    room = Room()
    room.start()
    room.send(request(session="a", transcript_context="suction on"))
    assert outcome(room.see(1.0, "event", "cut")).machines["M06"] == "OFF"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"surgery": "Appendectomy"}, "surgery 'Appendectomy' is not known; known are Lobectomy"),
        ({"current_phase": "Phase7"}, "PCNL has no phase 'Phase7'; its phases are Phase1"),
        ({"current_machines": {"1": ["M10"]}}, "PCNL has no machine 'M10'; its machines are M01"),
        ({"current_machines": {"1": ["M05"], "0": ["M05"]}}, "machine 'M05' stands in both"),
    ],
)
def test_a_request_for_what_does_not_exist_is_answered_as_rejected(wrong: dict[str, Any], said: str) -> None:
    room = Room()
    answer = response(room.send(request(**wrong)))
    assert (answer.outcome, answer.success, answer.degraded, answer.output) == ("rejected", False, True, None)
    assert said in answer.error
    assert room.stage.idle


def test_a_request_sent_again_is_answered_once_and_then_the_same() -> None:
    room = Room()
    asked = job(room.send(request()))
    assert room.send(request()) == []
    given = LLMResponse(request_id="q1", outcome="ok", success=True, degraded=False)
    assert room.answer(asked, response=given) == [given]
    assert room.answer(asked, response=given) == []
    assert room.send(request()) == [given]
    assert room.stage.idle


@pytest.mark.parametrize(
    ("state", "expected"),
    [("loading", "model_unavailable"), ("unavailable", "model_unavailable"), ("down", "stage_crashed")],
)
def test_a_request_without_a_model_is_given_to_parse_at_once_with_the_reason(state: Any, expected: str) -> None:
    room = Room(ready=False)
    room.model(state, "no such file")
    completion = given_up(room.send(request(transcript_context="suction on")))
    assert (completion.outcome, completion.error, completion.kind) == (expected, "no such file", "request")
    assert completion.rules.machines["M06"] == "ON"
    assert list(room.stage.step()) == []


def test_an_overdue_request_is_given_up_at_its_own_deadline_in_lockstep_too() -> None:
    room = Room(lockstep=True)
    room.send(request(deadline_ms=250))
    assert room.stage.wait_s() == 0.25
    room.now += SECOND // 4
    assert given_up(room.stage.step()).outcome == "timeout"
    assert room.stage.wait_s() is None


def test_more_requests_than_allowed_are_rejected_and_may_be_sent_again_later() -> None:
    room = Room(max_requests=1)
    asked = job(room.send(request("q1")))
    assert "as many as prompt.max_requests allows" in response(room.send(request("q2"))).error
    room.answer(asked, response=LLMResponse(request_id="q1", outcome="ok", success=True, degraded=False))
    assert types(room.send(request("q2"))) == [PromptJob]


def test_an_answered_request_is_remembered_for_a_bounded_time() -> None:
    room = Room()
    for n in range(4097):
        asked = job(room.send(request(f"q{n}")))
        given = LLMResponse(request_id=f"q{n}", outcome="ok", success=True, degraded=False)
        room.answer(asked, response=given)
    assert types(room.send(request("q1"))) == [LLMResponse]
    assert types(room.send(request("q0"))) == [PromptJob]
