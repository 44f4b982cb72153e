"""Whom to believe where the model and the rules disagree."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from parse_builders import (
    PCNL,
    SCHEMA,
    SURGERIES,
    Clock,
    make_completion,
    make_rules,
    make_toggle,
    settle,
    small_answer,
)

from models.trust import Tally, Trust
from pipeline.config import ParseSection
from pipeline.messages import Certainty, Deferred, RuleOutcome
from stages.parse.fusion import Fusion, claims
from stages.parse.normalise import ModelAnswer
from stages.parse.stage import ParseStage
from stages.phases import answered, judged

NEVER = Tally(right=(0, 0), of=(40, 40))
AT_LAST = Tally(right=(0, 40), of=(40, 40))  # right where it is sure
MOSTLY = Tally(right=(0, 30), of=(0, 40))  # at least 0.62
NOTHING = Tally(right=(0, 0), of=(0, 0))
KINDS = ("on", "off", "beside", "hinted", "named", "contradicted", "unsaid", "phase")


def trust(**tallies: Tally) -> Trust:
    return Trust(weights="", sets=(), edges=(0.0, 0.9), **dict.fromkeys(KINDS, NEVER) | tallies)


def says(machine: str, action: Any = "ON", sure: float = 0.97) -> ModelAnswer:
    toggle = make_toggle(machine, action, confidence=sure, match_type="llm")
    return ModelAnswer(toggles=(toggle,), measured=True)


def applied(answer: ModelAnswer, rules: RuleOutcome, measured: Trust | None, **section: Any) -> list[str]:
    weighed = Fusion(ParseSection(**section), measured).weigh(PCNL, rules, rules, answer)
    assert len(weighed.applied) + len(weighed.shown) == 1
    return [toggle.machine_id for toggle in weighed.applied]


HEARD = make_rules(mentioned=("M05",))
SWITCHED = make_rules(
    mentioned=("M05",), toggles=(make_toggle("M05", "OFF"),), machines={**make_rules().machines, "M05": "OFF"}
)


PUT_OFF = Deferred(machine_id="M05", name="Irrigation Pump", action="ON", trigger="irrigation", waits_for="later")


@pytest.mark.parametrize(
    ("answer", "rules", "kind"),
    [
        (says("M05"), make_rules(mentioned=("M05",), deferred=(PUT_OFF,)), "contradicted"),
        (says("M05"), make_rules(deferred=(PUT_OFF,)), "on"),  # it was put off before
        (says("M05"), make_rules(), "on"),
        (says("M09", "OFF"), make_rules(), "off"),
        (says("M05"), HEARD, "named"),
        (says("M05"), make_rules(hinted=("M05", "M06")), "hinted"),
        (says("M05"), make_rules(hinted=("M05",), mentioned=("M05",)), "named"),
        (says("M05"), SWITCHED, "contradicted"),
        (says("M06"), SWITCHED, "beside"),
        (says("M06"), replace(SWITCHED, hinted=("M06",)), "beside"),
        (says("M06"), replace(SWITCHED, mentioned=("M05", "M06")), "named"),
    ],
)
def test_a_change_counts_by_how_it_disagrees_with_the_rules(answer: ModelAnswer, rules: RuleOutcome, kind: str) -> None:
    assert [(one.kind, one.changes) for one in claims(answer, rules, rules)] == [(kind, True)]
    silent = dict.fromkeys(("on", "off"), NOTHING)
    assert applied(answer, rules, trust(**silent | {kind: AT_LAST})) == [answer.toggles[0].machine_id]
    others = {other: AT_LAST for other in KINDS if other != kind and {other, kind} != {"on", "off"}}
    assert applied(answer, rules, trust(**others)) == []


@pytest.mark.parametrize("now", ["ON", "OFF"])
def test_a_model_that_says_how_it_is_says_it_again_if_it_is_reliable_and_changes_nothing(now: Any) -> None:
    rules = make_rules(machines={**make_rules().machines, "M05": now})
    answer = says("M05", now)
    assert [(one.kind, one.changes) for one in claims(answer, rules, rules)] == [(now.lower(), False)]
    for measured, again in ((trust(on=AT_LAST, off=AT_LAST), ["M05"]), (trust(), [])):
        weighed = Fusion(ParseSection(), measured).weigh(PCNL, rules, rules, answer)
        assert (weighed.applied, weighed.shown) == ((), ())
        assert [toggle.machine_id for toggle in weighed.again] == again


def test_who_agrees_with_a_rule_or_says_off_of_what_is_on_standby_claims_nothing() -> None:
    assert list(claims(says("M05", "OFF"), SWITCHED, SWITCHED)) == []
    standby = make_rules(machines={**make_rules().machines, "M05": "STANDBY"})
    assert list(claims(says("M05", "OFF"), standby, standby)) == []


def test_what_is_said_again_stands_among_the_toggles_and_changes_neither_states_nor_who_set_them() -> None:
    stage = ParseStage(SURGERIES, SCHEMA, ParseSection(), Clock(), trust=trust(on=MOSTLY, off=NOTHING))
    sure = Certainty(mean_logprob=-0.1, phase=0.9, next_phase=0.9, machines={"M09": 0.97})
    state, verdict = settle(stage, make_completion(small_answer(on=["M09"]), certainty=sure))
    details = state.state["details"]
    assert [(t["machine_id"], t["action"], t["match_type"]) for t in details["toggles"]] == [("M09", "ON", "llm")]
    assert (details["set_by"]["M09"], verdict.toggles) == ("default", ())
    assert details["model_toggles"] == []


def test_a_change_is_taken_at_the_probability_at_which_the_model_was_right_and_at_no_lower_one() -> None:
    measured = trust(on=AT_LAST, off=Tally(right=(0, 0), of=(0, 0)))
    assert applied(says("M05", sure=0.9), make_rules(), measured) == ["M05"]
    assert applied(says("M05", sure=0.89), make_rules(), measured) == []


def test_a_model_that_was_not_measured_switches_nothing() -> None:
    assert applied(says("M05", sure=1.0), make_rules(), None, reliability=0.0) == []


def test_a_number_that_the_model_wrote_itself_is_no_measured_probability() -> None:
    answer = ModelAnswer(toggles=says("M05", sure=1.0).toggles, phase="Phase4", phase_confidence=1.0)
    assert applied(answer, make_rules(), trust(on=AT_LAST)) == []
    assert Fusion(ParseSection(), trust(phase=AT_LAST)).evidence(answer) == {}


@pytest.mark.parametrize(("machine", "action"), [("M03", "ON"), ("M02", "ON"), ("M01", "OFF")])
def test_a_machine_that_is_relevant_to_safety_wants_more(machine: str, action: Any) -> None:
    mostly, surely = trust(on=MOSTLY, off=NOTHING), trust(on=AT_LAST, off=NOTHING)
    assert applied(says("M05"), make_rules(), mostly) == ["M05"]
    assert applied(says(machine, action), make_rules(), mostly) == []
    assert applied(says(machine, action), make_rules(), surely) == [machine]
    assert applied(says(machine, action), make_rules(), surely, safety_reliability=0.99) == []
    assert applied(says(machine, action), make_rules(), mostly, safety_categories=()) == [machine]


def test_every_category_that_is_relevant_to_safety_is_one_of_a_shipped_surgery() -> None:
    categories = {machine.category for surgery in SURGERIES.values() for machine in surgery.machines}
    assert set(ParseSection().safety_categories) <= categories


def test_true_takes_all_but_what_contradicts_the_rules_and_false_takes_nothing() -> None:
    assert applied(says("M03"), make_rules(), trust(), apply_model_toggles=True) == ["M03"]
    assert applied(says("M05"), SWITCHED, trust(contradicted=AT_LAST), apply_model_toggles=True) == []
    assert applied(says("M05"), make_rules(), trust(on=AT_LAST), apply_model_toggles=False) == []


def test_a_phase_counts_as_far_as_the_model_was_right_against_the_rules() -> None:
    answer = ModelAnswer(phase="Phase4", confidence=0.2, phase_confidence=0.95, measured=True)
    fusion = Fusion(ParseSection(), trust(phase=AT_LAST))
    assert answered("Phase4", 0.85)["Phase4"] < fusion.evidence(answer)["Phase4"] < answered("Phase4", 0.95)["Phase4"]
    assert Fusion(ParseSection(), trust()).evidence(answer) == {}
    assert Fusion(ParseSection(), None).evidence(answer) == answered("Phase4", 0.95)


def test_a_model_alone_that_was_told_no_phase_counts_for_all_phases_by_what_it_holds_of_each() -> None:
    phases = {f"Phase{n}": 0.0 for n in range(1, 6)} | {"Phase2": 0.4, "Phase4": 0.6}
    answer = ModelAnswer(phase="Phase4", phase_confidence=0.6, phases=phases, measured=True)
    told, untold = (Fusion(ParseSection(), None, told).evidence(answer) for told in (True, False))
    assert told == answered("Phase4", 0.6)
    assert untold == judged(phases)
    assert Fusion(ParseSection(), trust(), told=False).evidence(answer) == {}
    unknown = msgspec.structs.replace(answer, phases={})
    assert Fusion(ParseSection(), None, told=False).evidence(unknown) == told


def test_a_state_shows_what_was_taken_from_the_model_and_how_reliable_it_is() -> None:
    stage = ParseStage(SURGERIES, SCHEMA, ParseSection(), Clock(), trust=trust(on=MOSTLY, off=NOTHING))
    sure = Certainty(mean_logprob=-0.1, phase=0.9, next_phase=0.9, machines={"M05": 0.97, "M03": 0.96})
    state, verdict = settle(stage, make_completion(small_answer(on=["M03", "M05"]), certainty=sure))
    details = state.state["details"]
    assert [(t["machine_id"], t["reliability"], t["match_type"]) for t in details["toggles"]] == [("M05", 0.624, "llm")]
    assert [(t["machine_id"], t["reliability"]) for t in details["model_toggles"]] == [("M03", 0.624)]
    assert (details["set_by"]["M05"], details["set_by"]["M03"]) == ("model", "default")
    assert [toggle.machine_id for toggle in verdict.toggles] == ["M05"]
    assert "Irrigation Pump ON by the model, right at least 0.62 of the times" in state.state["metadata"]["reasoning"]
