"""Both forms of an answer become one struct with this surgery's ids and phases only."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parse_builders import HEPATECTOMY, PCNL, make_rules, small_answer, with_machine

from stages.parse.normalise import MAX_SUGGESTIONS, SUGGESTION_CHARACTERS, ModelAnswer, NotAnAnswer, normalise

KNOWN = make_rules().machines


def read(found: dict[str, Any]) -> ModelAnswer:
    return normalise(found, PCNL, KNOWN)


def switched(answer: ModelAnswer) -> dict[str, str]:
    return {toggle.machine_id: toggle.action for toggle in answer.toggles}


def full_answer(off: list[str], on: list[str], toggles: Any = ()) -> dict[str, Any]:
    return {
        "metadata": {"phase": "Phase4", "next_phase": "Phase5", "reasoning": "Stone in view."},
        "machines": {"0": off, "1": on},
        "details": {"toggles": list(toggles) if isinstance(toggles, tuple) else toggles},
        "suggestions": ["Check the irrigation"],
        "confidence": 0.7,
        "source": "model",
    }


def test_the_small_form_is_read_in_full() -> None:
    answer = read(small_answer(on=["M05"], off=["M09"]))
    assert switched(answer) == {"M05": "ON", "M09": "OFF"}
    assert (answer.phase, answer.next_phase) == ("Phase4", "Phase5")
    assert answer.reasoning == "The stone is being broken."
    assert answer.suggestions == ("Prepare the suction",)
    assert (answer.confidence, answer.dropped) == (0.8, ())


def test_the_small_form_says_a_machine_once_more_even_if_it_is_so_already() -> None:
    assert switched(read(small_answer(on=["M01"], off=["M05"]))) == {"M01": "ON", "M05": "OFF"}


def test_a_toggle_carries_the_dictionarys_name_and_the_answers_confidence() -> None:
    (toggle,) = read(small_answer(on=["M05"])).toggles
    assert (toggle.name, toggle.confidence, toggle.match_type) == ("Irrigation Pump", 0.8, "llm")


def test_of_the_full_form_only_machines_in_another_state_than_known_are_toggles() -> None:
    answer = read(full_answer(off=["M02", "M03", "M04", "M06", "M07", "M08", "M09"], on=["M01", "M05"]))
    assert switched(answer) == {"M05": "ON", "M09": "OFF"}
    assert (answer.phase, answer.reasoning, answer.confidence) == ("Phase4", "Stone in view.", 0.7)


def test_a_machine_on_standby_that_the_full_form_lists_as_off_is_no_toggle() -> None:
    known = with_machine(make_rules(), "M05", "STANDBY", "rule").machines
    assert normalise(full_answer(off=["M05"], on=[]), PCNL, known).toggles == ()


def test_a_standby_toggle_agrees_with_the_off_list_and_says_it_better() -> None:
    toggle = {"machine_id": "m09", "name": "x", "action": "standby", "confidence": 0.4}
    answer = read(full_answer(off=["M09"], on=["M01"], toggles=(toggle,)))
    assert switched(answer) == {"M09": "STANDBY"}
    assert answer.toggles[0].confidence == 0.4


def test_a_match_type_of_the_models_own_becomes_llm() -> None:
    toggle = {"machine_id": "M05", "action": "ON", "match_type": "guess"}
    assert read(full_answer(off=[], on=[], toggles=(toggle,))).toggles[0].match_type == "llm"


@pytest.mark.parametrize(
    "toggle",
    [
        {"machine_id": "M05"},
        {"machine_id": "M05", "action": "BOOST"},
        {"machine_id": "M77", "action": "ON"},
        {"action": "ON"},
        {"machine_id": ["M05"], "action": {}},
        "M05",
        None,
    ],
)
def test_a_toggle_without_a_valid_id_and_action_is_left_out(toggle: Any) -> None:
    answer = read(full_answer(off=[], on=[], toggles=(toggle,)))
    assert answer.toggles == ()
    assert len(answer.dropped) == 1


def test_ids_in_small_letters_are_taken() -> None:
    assert switched(read(small_answer(on=[" m05 "]))) == {"M05": "ON"}


@pytest.mark.parametrize("stray", ["M10", "M5", "pump", "M05\x00", 5, None, ["M05"], {"id": "M05"}])
def test_an_id_that_this_surgery_does_not_have_is_left_out_and_noted(stray: Any) -> None:
    answer = read(small_answer(on=["M06", stray]))
    assert switched(answer) == {"M06": "ON"}
    assert len(answer.dropped) == 1
    assert "no machine of PCNL" in answer.dropped[0]


@pytest.mark.parametrize(
    "found",
    [
        small_answer(on=["M05", "M06"], off=["M05"]),
        full_answer(off=["M05"], on=["M05", "M06"]),
        full_answer(off=["M05"], on=["M06"], toggles=({"machine_id": "M05", "action": "ON"},)),
        full_answer(
            off=[], on=["M06"], toggles=tuple({"machine_id": "M05", "action": action} for action in ("ON", "OFF"))
        ),
    ],
)
def test_a_machine_that_is_told_two_things_counts_as_told_none(found: dict[str, Any]) -> None:
    answer = read(found)
    assert switched(answer) == {"M06": "ON"}
    assert answer.dropped == ("M05: told two things at once",)


def test_toggles_stand_in_the_dictionarys_order_whatever_the_answers() -> None:
    answer = read(small_answer(on=["M08", "M02", "M05", "M02"], off=["M09", "M01"]))
    assert list(switched(answer)) == ["M01", "M02", "M05", "M08", "M09"]


@pytest.mark.parametrize(
    "said", ["Phase4", "phase4", "Phase 4", "Stone Management", " stone management ", "STONEMANAGEMENT"]
)
def test_a_phase_by_id_or_name_becomes_its_id(said: str) -> None:
    assert read({"phase": said}).phase == "Phase4"


def test_the_same_name_means_the_phase_of_the_surgery_at_hand() -> None:
    known = make_rules(HEPATECTOMY).machines
    assert normalise({"phase": "Parenchymal Transection"}, HEPATECTOMY, known).phase == "Phase4"
    with pytest.raises(NotAnAnswer, match="is none of PCNL"):
        read({"phase": "Parenchymal Transection"})


def test_an_unknown_next_phase_is_left_out() -> None:
    answer = read(small_answer(next="Phase9"))
    assert (answer.next_phase, answer.dropped) == ("", ("next_phase: none of PCNL",))


def test_reasoning_and_phases_at_the_top_are_taken_when_metadata_has_none() -> None:
    answer = read({"metadata": {"phase": ""}, "phase": "Phase3", "next_phase": "Phase4", "reasoning": "Dilation."})
    assert (answer.phase, answer.next_phase, answer.reasoning) == ("Phase3", "Phase4", "Dilation.")


@pytest.mark.parametrize(
    ("said", "taken"),
    [(0.5, 0.5), (1, 1.0), (7.5, 1.0), (-3, 0.0), (10**400, 1.0), ("0.9", 0.0), (True, 0.0), ([], 0.0), ({}, 0.0)],
)
def test_confidence_is_brought_between_0_and_1_and_what_is_no_number_is_0(said: Any, taken: float) -> None:
    assert read(small_answer(conf=said)).confidence == taken


def test_a_confidence_that_is_not_a_number_is_0() -> None:
    assert read(small_answer(conf=float("nan"))).confidence == 0.0


def test_suggestions_are_trimmed_made_visible_and_said_once_in_their_order() -> None:
    tips = ["  Check\x00 the\nsuction ", "Prepare", "", " \u200b", "check the SUCTION", 7, None, ["Check"], "Verify"]
    answer = read(small_answer(tips=tips))
    assert answer.suggestions == ("Check the suction", "Prepare", "Verify")
    assert len(answer.dropped) == 5


def test_suggestions_are_bounded_in_number_and_length() -> None:
    answer = read(small_answer(tips=[f"Check {n} {'x' * 500}" for n in range(50)]))
    assert len(answer.suggestions) == MAX_SUGGESTIONS
    assert {len(tip) for tip in answer.suggestions} == {SUGGESTION_CHARACTERS}


@pytest.mark.parametrize("tips", ["Check", 5, {"a": "Check"}, True])
def test_suggestions_that_are_no_list_count_as_none(tips: Any) -> None:
    answer = read(small_answer(tips=tips))
    assert answer.suggestions == ()
    assert len(answer.dropped) == 1


def test_nothing_to_switch_is_an_answer() -> None:
    assert read({"on": [], "off": []}) == ModelAnswer()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({}, "neither a phase nor machine lists"),
        ({"answer": 42}, "neither a phase nor machine lists"),
        ({"why": "Nothing is known.", "conf": 1}, "neither a phase nor machine lists"),
        ({"metadata": {"phase": ""}, "machines": {}}, "neither a phase nor machine lists"),
        ({"phase": "Phase7"}, "phase 'Phase7' is none of PCNL"),
        ({"phase": 4, "on": []}, "phase a number is none of PCNL"),
        ({"on": "M05"}, "on is a text, not a list"),
        ({"off": None, "phase": "Phase1"}, "off is null, not a list"),
        ({"machines": {"0": [], "1": "M05"}}, r"machines\.1 is a text, not a list"),
        ({"machines": ["M05"]}, "machines is a list, not an object"),
        ({"metadata": "Phase4", "on": []}, "metadata is a text, not an object"),
    ],
)
def test_what_says_nothing_about_this_surgery_is_no_answer(found: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotAnAnswer, match=reason):
        read(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["M05", "Phase2"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)
KEYS = ["on", "off", "phase", "next", "why", "tips", "conf", "machines", "metadata", "details", "suggestions"]


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_object_gives_ids_and_phases_of_this_surgery_or_is_none(found: dict[str, Any]) -> None:
    try:
        answer = read(found)
    except NotAnAnswer:
        return
    assert set(switched(answer)) <= set(PCNL.machine_ids)
    assert {answer.phase, answer.next_phase} <= {"", *PCNL.phase_ids}
    assert 0.0 <= answer.confidence <= 1.0
    assert all(tip == tip.strip() and tip.isprintable() for tip in answer.suggestions)
