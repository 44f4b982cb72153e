"""Replays through real processes: full sets of states, the same each time, with outages marked."""

import json
import os
import signal
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pipeline import events
from pipeline.journal import read_records
from pipeline.log import Log
from pipeline.messages import Input, SurgeryState
from pipeline.replay import Summary, replay

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pcnl_session.jsonl"
TIMINGS = ("processing_time_ms",)
WAIT_S = 30.0


def without_timings(state: SurgeryState) -> dict[str, Any]:
    """All of a state that must be the same in another run."""
    metadata = {k: v for k, v in state.state["metadata"].items() if k not in TIMINGS}
    return {
        "session": state.session,
        "seq": state.seq,
        "t": state.t,
        "based_on": state.based_on,
        "outcome": state.outcome,
        "degraded": state.degraded,
        "state": {**state.state, "metadata": metadata},
    }


def run(
    log: Log, settings: tuple[str, ...], speed: float | None = None, killer: "Killer | None" = None, **hooks: Any
) -> tuple[Summary, list[SurgeryState]]:
    states: list[SurgeryState] = []

    if killer is not None:
        hooks = {"on_event": killer.on_event, "on_sent": killer.on_sent}
    summary = replay(log, speed=speed, model="stub", settings=settings, on_state=states.append, **hooks)
    return summary, states


def inputs_of(log: Log) -> list[int]:
    return [message.seq for message in log.messages if isinstance(message, Input)]


def test_every_input_of_the_shipped_session_has_a_state_at_once_by_the_rules(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    summary, states = run(log, settings)
    assert summary.failure == ""
    assert summary.accounted == summary.inputs == len(log.messages)
    at_once = [state for state in states if state.state["source"] == "rule"]
    assert [state.based_on for state in at_once] == inputs_of(log)
    assert not any(state.degraded for state in states)
    assert [state.seq for state in states] == list(range(1, len(states) + 1))


def test_the_model_is_asked_about_new_speech_and_its_answers_carry_its_own_label(settings: tuple[str, ...]) -> None:
    summary, states = run(Log(EXAMPLE), settings)
    fused = [state for state in states if state.state["source"] != "rule"]
    assert {state.state["source"] for state in fused} == {"rule+stub"}
    assert summary.model_answers == len(fused) > 20
    for state in fused:
        assert state.state["metadata"]["based_on_seq"] == state.based_on
        assert state.state["metadata"]["age_s"] == 0.0


def test_every_published_state_lists_every_machine_exactly_once(settings: tuple[str, ...]) -> None:
    _, states = run(Log(EXAMPLE), settings)
    for state in states:
        machines = state.state["machines"]
        assert sorted(machines["0"] + machines["1"]) == [f"M{number:02d}" for number in range(1, 10)]


def test_the_same_log_gives_the_same_states_twice(settings: tuple[str, ...]) -> None:
    first = [without_timings(state) for state in run(Log(EXAMPLE), settings)[1]]
    second = [without_timings(state) for state in run(Log(EXAMPLE), settings)[1]]
    assert json.dumps(first) == json.dumps(second)


def test_a_journal_replays_to_the_states_of_the_run_that_wrote_it(settings: tuple[str, ...]) -> None:
    summary, first = run(Log(EXAMPLE), settings)
    again, second = run(Log(Path(summary.journal)), settings)
    assert again.failure == ""
    assert [without_timings(s) for s in first] == [without_timings(s) for s in second]


def test_a_replay_at_a_factor_of_real_time_takes_all_inputs(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    no_age = "parse.expire_s=1e6"  # at this factor a busy machine is late by much message time
    summary, states = run(log, (*settings, no_age), speed=400.0)
    assert summary.failure == ""
    by_rules = [state.based_on for state in states if state.state["source"] == "rule"]
    assert by_rules == inputs_of(log)


class Killer:
    """Kills a stage's process once, between an input of the log and the next: what follows meets the outage."""

    def __init__(self, stage: str, at: int) -> None:
        self.stage = stage
        self.at = at
        self.deaths: list[events.StageDied] = []
        self._ready: Future[int] = Future()

    def on_event(self, event: events.AnyEvent) -> None:
        if isinstance(event, events.StageReady) and event.stage == self.stage and not self._ready.done():
            self._ready.set_result(event.pid)
        if isinstance(event, events.StageDied):
            self.deaths.append(event)

    def on_sent(self, number: int) -> None:
        if number == self.at:
            os.kill(self._ready.result(WAIT_S), signal.SIGKILL)


def test_killing_inference_in_the_middle_leaves_a_full_set_of_states_with_the_outage_marked(
    settings: tuple[str, ...],
) -> None:
    log = Log(EXAMPLE)
    undisturbed = run(log, settings)[1]
    killer = Killer("inference", at=15)
    summary, states = run(log, settings, killer=killer)
    assert summary.failure == ""
    assert [(d.stage, d.how) for d in killer.deaths] == [("inference", "killed by SIGKILL")]
    assert summary.restarts == 1
    outage = [state for state in states if state.degraded]
    assert outage
    assert {state.outcome for state in outage} <= {"stage_crashed", "model_unavailable"}
    assert {state.state["source"] for state in outage} == {"rule"}
    machines = {state.based_on: state.state["machines"] for state in states}
    assert machines == {state.based_on: state.state["machines"] for state in undisturbed}
    assert states[-1].degraded is False


def test_killing_parse_in_the_middle_loses_no_state(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    killer = Killer("parse", at=12)
    summary, _ = run(log, settings, killer=killer)
    assert summary.failure == ""
    assert summary.restarts == 1
    journal = Log(Path(summary.journal))
    assert [m.seq for m in journal.messages if isinstance(m, Input)] == inputs_of(log)
    based_on = set()
    for file in sorted(Path(summary.journal).glob("outputs-*.mcap")):
        for record in read_records(file):
            if record.topic == "SurgeryState":
                based_on.add(json.loads(record.payload)["based_on"])
    assert based_on == set(inputs_of(log))


def test_a_stage_that_dies_too_often_ends_the_pipeline_with_the_reason(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    killer = Killer("inference", at=len(log.messages))
    summary, _ = run(
        log,
        (*settings, "supervision.restarts_per_minute=0"),
        killer=killer,
    )
    assert "inference is not started again" in summary.failure
    assert "supervision.restarts_per_minute = 0" in summary.failure
    assert "SIGKILL" in summary.failure


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"t": 5.0, "text": "hi\\u0007"}', "control character"),
        ('{"t": 5.0, "tex": "hi"}', "text"),
        ("{broken", "line 3"),
    ],
)
def test_a_bad_line_of_a_log_is_told_and_the_rest_is_replayed(
    settings: tuple[str, ...], run_folder: Path, line: str, reason: str
) -> None:
    path = run_folder / "bad.jsonl"
    path.write_text(
        '{"surgery": "PCNL"}\n{"t": 1.0, "text": "suction on"}\n' + line + '\n{"t": 9.0, "text": "suction off"}\n'
    )
    log = Log(path)
    summary, states = run(log, settings)
    assert len(log.faults) == 1
    assert reason in log.faults[0]
    assert summary.failure == ""
    on = [("M06" in state.state["machines"]["1"]) for state in states if state.state["source"] == "rule"]
    assert on == [False, True, False, False]  # start, on, off, end


def test_time_that_runs_backwards_and_unknown_ids_are_counted_dead_letters(
    settings: tuple[str, ...], run_folder: Path
) -> None:
    path = run_folder / "strange.jsonl"
    lines = [
        {"surgery": "PCNL"},
        {"t": 100.0, "text": "suction on"},
        {"t": 3.0, "text": "suction off"},
        {"type": "Override", "t": 101.0, "machine": "M77", "action": "ON"},
        {"t": 102.0, "text": "camera on"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    summary, states = run(Log(path), settings)
    assert summary.failure == ""
    assert summary.dead_letters == {"time_backwards": 1, "unknown_machine": 1}
    assert {"M06", "M08"} <= set(states[-1].state["machines"]["1"])


def test_an_unknown_surgery_is_a_dead_letter_that_lists_the_known_ones(
    settings: tuple[str, ...], run_folder: Path
) -> None:
    path = run_folder / "s.jsonl"
    path.write_text('{"t": 1.0, "text": "suction on"}\n')
    letters: list[events.DeadLettered] = []

    def on_event(event: events.AnyEvent) -> None:
        if isinstance(event, events.DeadLettered):
            letters.append(event)

    summary, states = run(Log(path, surgery="Appendectomy"), settings, on_event=on_event)
    assert summary.failure == ""
    assert states == []
    assert summary.dead_letters == {"unknown_surgery": 1, "unknown_session": 2}
    assert "Lobectomy" in letters[0].error


def test_a_parse_process_that_is_killed_at_the_very_end_does_not_hold_up_the_replay(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    last = inputs_of(log)[-1]
    pids: list[int] = []

    def note(event: events.AnyEvent) -> None:
        if isinstance(event, events.StageReady) and event.stage == "parse":
            pids.append(event.pid)

    def strike(state: SurgeryState) -> None:
        if state.based_on == last and len(pids) == 1:
            os.kill(pids[0], signal.SIGKILL)

    summary = replay(log, speed=None, model="stub", settings=settings, on_state=strike, on_event=note)
    assert summary.failure == ""
    assert summary.accounted == summary.inputs
