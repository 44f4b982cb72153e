"""A fourth surgery, added by configuration alone: its session goes through the real processes, and is read rightly."""

import json
from typing import Any

import pytest

from pipeline.config import ROOT
from pipeline.log import Log
from pipeline.messages import SurgeryState
from pipeline.replay import Summary, replay

FOLDER = ROOT / "examples" / "surgeries"
SESSION = FOLDER / "sessions" / "cholecystectomy.jsonl"
TRUTH: dict[str, Any] = json.loads(SESSION.with_suffix(".truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, list[SurgeryState]]:
    states: list[SurgeryState] = []
    journal = tmp_path_factory.mktemp("journal")
    settings = (f"prompt.machines={str(FOLDER)!r}", f"run.journal={str(journal)!r}", "inference.prefix_cache=")
    summary = replay(Log(SESSION), speed=None, model="stub", settings=settings, on_state=states.append)
    return summary, states


def test_every_input_is_taken_and_answered_by_rules_and_model(
    replayed: tuple[Summary, list[SurgeryState]],
) -> None:
    summary, states = replayed
    assert summary.failure == ""
    assert summary.accounted == summary.inputs == 32
    assert {state.state["source"] for state in states} == {"rule", "rule+stub"}
    assert not any(state.degraded for state in states)
    assert {state.state["metadata"]["surgery"] for state in states} == {"Cholecystectomy"}


def test_machines_change_when_they_should_and_at_no_other_time(
    replayed: tuple[Summary, list[SurgeryState]],
) -> None:
    on = set(TRUTH["initial_on"])
    changes = []
    for state in replayed[1]:
        now = set(state.state["machines"]["1"])
        changes += [{"t": state.t, "id": machine, "state": "ON"} for machine in now - on]
        changes += [{"t": state.t, "id": machine, "state": "OFF"} for machine in on - now]
        on = now

    def order(change: dict[str, Any]) -> tuple[float, str]:
        return change["t"], change["id"]

    assert sorted(changes, key=order) == sorted(TRUTH["machines"], key=order)


def test_phases_begin_when_they_should(replayed: tuple[Summary, list[SurgeryState]]) -> None:
    phases: list[dict[str, Any]] = []
    for state in replayed[1]:
        phase = state.state["metadata"]["phase"]
        if not phases or phases[-1]["phase"] != phase:
            phases.append({"phase": phase, "start_s": state.t})
    assert phases == TRUTH["phases"]
