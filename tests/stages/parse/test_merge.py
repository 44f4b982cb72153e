"""What the rules know and what the model answered become one state."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parse_builders import CONTRACT, HEPATECTOMY, PCNL, make_rules, make_toggle, with_machine

from pipeline.config import ParseSection
from pipeline.messages import OUTCOMES, Outcome, RuleOutcome
from stages.parse.fusion import Fusion
from stages.parse.merge import Fused, fused_state, rule_state
from stages.parse.normalise import ModelAnswer

ON_BY_MODEL = make_toggle("M05", confidence=0.6, match_type="llm")


def fuse(
    answer: ModelAnswer, rules: RuleOutcome | None = None, asked: RuleOutcome | None = None, apply: bool = False
) -> Fused:
    rules = rules or make_rules()
    fusion = Fusion(ParseSection(apply_model_toggles=apply), None)
    fused = fused_state(PCNL, rules, asked or rules, answer, model="gemma-3-270m", label="gemma", fusion=fusion)
    CONTRACT.check(fused.state, "PCNL")
    return fused


# --- the rules alone ---------------------------------------------------------------------------------------


def test_machines_that_are_on_by_default_are_listed_as_on_from_the_start() -> None:
    assert rule_state(PCNL, make_rules())["machines"]["1"] == ["M01", "M09"]
    assert rule_state(HEPATECTOMY, make_rules(HEPATECTOMY))["machines"]["1"] == ["M01", "M07", "M09"]


def test_off_and_standby_stand_in_list_0_in_the_dictionarys_order() -> None:
    rules = with_machine(with_machine(make_rules(), "M09", "STANDBY", "rule"), "M05", "ON", "rule")
    backwards = make_rules(machines=dict(reversed(rules.machines.items())))
    assert rule_state(PCNL, backwards)["machines"] == {
        "0": ["M02", "M03", "M04", "M06", "M07", "M08", "M09"],
        "1": ["M01", "M05"],
    }


def test_a_state_says_which_machines_are_on_standby_and_which_a_human_holds() -> None:
    rules = with_machine(make_rules(held=("M09",)), "M09", "STANDBY", "override")
    details = rule_state(PCNL, rules)["details"]
    assert (details["standby"], details["held"]) == (["M09"], ["M09"])
    applied = fuse(
        ModelAnswer(toggles=(make_toggle("M09", "ON"),)),
        with_machine(make_rules(), "M09", "STANDBY", "rule"),
        apply=True,
    )
    assert (applied.state["machines"]["1"], applied.state["details"]["standby"]) == (["M01", "M09"], [])


def test_a_state_of_the_rules_carries_what_they_know() -> None:
    toggle = make_toggle("M05", trigger="start irrigation", confidence=0.95, match_type="trigger")
    rules = make_rules(
        seq=7,
        t=12.345,
        toggles=(toggle,),
        negations=("not",),
        debounced=("M06",),
        matched_keywords=("start irrigation",),
        temporal="immediately",
        suggestions=("Check the flow",),
        confidence=0.95,
        buffer_entries=3,
        buffer_duration_s=9.5,
        overrides_applied=1,
    )
    state = rule_state(PCNL, rules, processing_time_ms=1.5)
    assert state["metadata"] == {
        "timestamp": "2023-11-14T22:13:32.345Z",
        "surgery": "PCNL",
        "phase": "Phase1",
        "next_phase": "Phase2",
        "processing_time_ms": 1.5,
        "matched_keywords": ["start irrigation"],
        "temporal": "immediately",
        "reasoning": "normal",
        "buffer_entries": 3,
        "buffer_duration_s": 9.5,
        "session_elapsed_s": 12.345,
        "model": "",
        "based_on_seq": 7,
        "age_s": 0.0,
        "outcome": "ok",
        "degraded": False,
        "overrides_applied": 1,
    }
    assert state["details"]["toggles"] == [
        {
            "machine_id": "M05",
            "name": "Irrigation Pump",
            "action": "ON",
            "trigger": "start irrigation",
            "confidence": 0.95,
            "match_type": "trigger",
        }
    ]
    assert (state["details"]["negations"], state["details"]["debounced"]) == (["not"], ["M06"])
    assert (state["suggestions"], state["confidence"], state["source"]) == (["Check the flow"], 0.95, "rule")


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome != "ok"])
def test_every_outcome_but_ok_is_degraded_says_why_and_keeps_what_the_rules_know(outcome: Outcome) -> None:
    rules = with_machine(make_rules(phase="Phase3", next_phase="Phase4"), "M05", "ON", "rule")
    state = rule_state(PCNL, rules, outcome=outcome, reason="because of it")
    CONTRACT.check(state, "PCNL")
    metadata = state["metadata"]
    assert (metadata["outcome"], metadata["degraded"], state["source"]) == (outcome, True, "rule")
    assert metadata["reasoning"] == f"{outcome}: because of it. Rules: normal"
    assert (metadata["phase"], state["machines"]["1"]) == ("Phase3", ["M01", "M05", "M09"])


def test_two_states_share_no_list() -> None:
    rules = make_rules()
    first, second = rule_state(PCNL, rules), rule_state(PCNL, rules)
    first["machines"]["1"].append("M05")
    first["details"]["set_by"]["M05"] = "rule"
    first["details"]["toggles"].append({})
    assert second == rule_state(PCNL, make_rules())


@given(
    st.lists(st.text(max_size=1200), max_size=3),
    st.sampled_from([0, 1, 300]),
    st.text(max_size=3000),
    st.text(max_size=3000),
)
def test_texts_of_any_length_make_a_valid_state(texts: list[str], times: int, reason: str, model: str) -> None:
    many = tuple(texts * times)
    rules = make_rules(
        negations=many,
        debounced=many,
        matched_keywords=many,
        reasoning=reason,
        suggestions=tuple(f"Check {text}" for text in many),
        toggles=tuple(make_toggle("M05", trigger=text) for text in many),
    )
    CONTRACT.check(rule_state(PCNL, rules), "PCNL")
    CONTRACT.check(rule_state(PCNL, rules, outcome="timeout", reason=reason, model=model, violations=many), "PCNL")


# --- with an answer ----------------------------------------------------------------------------------------


def test_the_model_adds_phase_next_phase_reasoning_and_suggestions() -> None:
    answer = ModelAnswer(
        phase="Phase4", next_phase="Phase5", reasoning="Stone in view.", suggestions=("Prepare", "check flow")
    )
    state = fuse(answer, make_rules(suggestions=("Check flow", "Verify"))).state
    metadata = state["metadata"]
    assert (metadata["phase"], metadata["next_phase"]) == ("Phase4", "Phase5")
    assert (metadata["reasoning"], metadata["model"]) == ("Stone in view.", "gemma-3-270m")
    assert state["suggestions"] == ["Check flow", "Verify", "Prepare"]
    assert (metadata["outcome"], metadata["degraded"]) == ("ok", False)


def test_the_source_names_the_models_own_label() -> None:
    assert fuse(ModelAnswer(phase="Phase1")).state["source"] == "rule+gemma"


def test_an_answer_without_a_phase_blanks_neither_phase_nor_reasoning() -> None:
    metadata = fuse(ModelAnswer(), make_rules(phase="Phase3", next_phase="Phase4")).state["metadata"]
    assert (metadata["phase"], metadata["next_phase"], metadata["reasoning"]) == ("Phase3", "Phase4", "normal")


def test_a_phase_without_a_next_one_is_followed_by_the_dictionarys() -> None:
    assert fuse(ModelAnswer(phase="Phase4")).state["metadata"]["next_phase"] == "Phase5"
    assert fuse(ModelAnswer(phase="Phase6")).state["metadata"]["next_phase"] == ""


def test_a_phase_that_was_set_after_the_question_stands_against_the_answer() -> None:
    asked, now = make_rules(), make_rules(t=14.0, phase="Phase3", next_phase="Phase4")
    metadata = fuse(ModelAnswer(phase="Phase2", next_phase="Phase3"), now, asked).state["metadata"]
    assert (metadata["phase"], metadata["next_phase"]) == ("Phase3", "Phase4")


@pytest.mark.parametrize(("rules", "model", "fused"), [(0.95, 0.4, 0.95), (0.0, 0.4, 0.4)])
def test_the_confidence_is_the_larger_one(rules: float, model: float, fused: float) -> None:
    assert fuse(ModelAnswer(confidence=model), make_rules(confidence=rules)).state["confidence"] == fused


def test_a_fused_state_tells_what_it_is_based_on_and_how_old_the_answer_is() -> None:
    metadata = fuse(ModelAnswer(phase="Phase2"), make_rules(seq=9, t=14.5), make_rules(seq=5, t=10.0)).state["metadata"]
    assert (metadata["based_on_seq"], metadata["age_s"]) == (5, 4.5)
    assert metadata["session_elapsed_s"] == 14.5


def test_a_toggle_that_only_the_model_saw_is_shown_and_not_applied() -> None:
    fused = fuse(ModelAnswer(toggles=(ON_BY_MODEL,)))
    assert fused.applied == ()
    assert fused.state["machines"]["1"] == ["M01", "M09"]
    assert fused.state["details"]["toggles"] == []
    (shown,) = fused.state["details"]["model_toggles"]
    assert (shown["machine_id"], shown["action"], shown["match_type"]) == ("M05", "ON", "llm")


def test_a_toggle_that_only_the_model_saw_is_applied_where_that_is_configured() -> None:
    rule_toggle = make_toggle("M06")
    fused = fuse(ModelAnswer(toggles=(ON_BY_MODEL,)), make_rules(toggles=(rule_toggle,)), apply=True)
    assert fused.applied == (ON_BY_MODEL,)
    assert fused.state["machines"]["1"] == ["M01", "M05", "M09"]
    details = fused.state["details"]
    assert [toggle["machine_id"] for toggle in details["toggles"]] == ["M06", "M05"]
    assert details["toggles"][1]["match_type"] == "llm"
    assert (details["set_by"]["M05"], details["set_by"]["M06"]) == ("model", "default")
    assert details["model_toggles"] == []


def test_a_toggle_that_the_rules_have_made_already_is_shown_nowhere() -> None:
    fused = fuse(ModelAnswer(toggles=(ON_BY_MODEL,)), with_machine(make_rules(), "M05", "ON", "rule"), apply=True)
    assert (fused.applied, fused.state["details"]["model_toggles"]) == ((), [])


STARTED = with_machine(make_rules(t=12.0), "M05", "STANDBY", "rule")


@pytest.mark.parametrize(
    ("now", "asked"),
    [
        (with_machine(make_rules(), "M05", "OFF", "override"), with_machine(make_rules(), "M05", "OFF", "override")),
        (with_machine(make_rules(t=12.0), "M05", "OFF", "override"), make_rules()),
        (STARTED, make_rules()),
        (with_machine(make_rules(t=12.0), "M05", "OFF", "rule"), make_rules()),
        (make_rules(toggles=(make_toggle("M05", "OFF"),)), make_rules(toggles=(make_toggle("M05", "OFF"),))),
    ],
    ids=["held by a human", "held since the question", "set since", "said again since", "the rules speak of it"],
)
def test_the_model_switches_nothing_that_others_have_a_say_in(now: RuleOutcome, asked: RuleOutcome) -> None:
    fused = fuse(ModelAnswer(toggles=(ON_BY_MODEL,)), now, asked, apply=True)
    assert fused.applied == ()
    assert "M05" in fused.state["machines"]["0"]
    assert [toggle["machine_id"] for toggle in fused.state["details"]["model_toggles"]] == ["M05"]


def test_the_same_input_gives_the_same_state_each_time() -> None:
    answer = ModelAnswer(phase="Phase2", suggestions=tuple(f"Check {n}" for n in range(8)))
    rules = make_rules(suggestions=tuple(f"Verify {n}" for n in range(8)))
    expected = [*rules.suggestions, *answer.suggestions]
    states: list[dict[str, Any]] = [fuse(answer, rules).state for _ in range(5)]
    assert all(state == states[0] and state["suggestions"] == expected for state in states)
