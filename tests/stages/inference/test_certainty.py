"""How sure a model was of each value, from the probabilities of what it chose."""

from math import exp, log

import msgspec
import pytest

from pipeline.messages import Certainty
from stages.inference.certainty import Scored, certainty

SMALL = '{"on":["M05","M06"],"off":["M07"],"phase":"Phase3","next":"Phase4","why":"a: [b]","tips":[],"conf":0.8}'
FULL = (
    '{"metadata":{"phase":"Phase3","next_phase":"Phase4","reasoning":"M01 \\"Phase1\\""},'
    '"machines":{"0":["M01","M02"],"1":["M03"]},'
    '"details":{"toggles":[{"machine_id":"M03","name":"C-Arm","action":"ON","confidence":0.9,"match_type":"llm"}]},'
    '"suggestions":["M02"],"confidence":0.8,"source":"model"}'
)


def sure(text: str, *choices: tuple[str, float]) -> Certainty:
    """With these pieces of the text chosen, in this order, each with its probability; all others were forced."""
    scored, at = [], 0
    for piece, probability in choices:
        start = text.index(piece, at)
        at = start + len(piece)
        scored.append(Scored(start, at, log(probability)))
    return certainty(text, scored)


def test_each_value_of_the_small_form_has_the_probability_of_its_own_choices() -> None:
    found = sure(SMALL, ("5", 0.5), ("6", 0.25), ("7", 0.75), ("3", 0.9), ("4", 0.8))
    assert found.machines == pytest.approx({"M05": 0.5, "M06": 0.25, "M07": 0.75})
    assert (found.phase, found.next_phase) == (pytest.approx(0.9), pytest.approx(0.8))


def test_each_value_of_the_full_form_has_the_probability_of_its_own_choices() -> None:
    found = sure(FULL, ("3", 0.9), ("4", 0.8), ('01 \\"Phase1\\"', 0.1), ("1", 0.7), ("2", 0.6), ("3", 0.5))
    assert (found.phase, found.next_phase) == (pytest.approx(0.9), pytest.approx(0.8))
    assert found.machines == pytest.approx({"M01": 0.7, "M02": 0.6, "M03": 0.5})


def test_that_a_list_goes_on_counts_for_what_it_goes_on_with() -> None:
    found = sure(SMALL, ('"', 1.0), ("5", 0.5), ('","', 0.4), ("6", 0.5), ('"],', 0.3), ("3", 0.9))
    assert found.machines["M05"] == pytest.approx(0.5)
    assert found.machines["M06"] == pytest.approx(0.4 * 0.5)
    assert found.machines["M07"] == 1.0  # that a list ended counts for nobody


def test_that_a_list_begins_counts_for_its_first_machine() -> None:
    text = '{"on":["M05"],"off":[],"phase":"Phase3","next":"Phase4"}'
    found = sure(text, ('"M', 0.25), ("5", 0.5), ("]", 0.5), ("]", 0.5), ("3", 0.9))
    assert found.machines == {"M05": pytest.approx(0.125)}
    assert found.phase == pytest.approx(0.9)  # the lists before it end with their own keys


def test_several_choices_in_one_value_are_multiplied() -> None:
    assert sure(SMALL, ("Ph", 0.5), ("ase", 0.5), ("3", 0.5)).phase == pytest.approx(0.125)


def test_a_value_without_any_choice_is_certain() -> None:
    found = sure(SMALL)
    assert (found.phase, found.next_phase) == (1.0, 1.0)
    assert found.machines == {"M05": 1.0, "M06": 1.0, "M07": 1.0}
    assert found.mean_logprob == 0.0


def test_the_mean_is_that_of_all_choices_wherever_they_stand() -> None:
    assert sure(SMALL, ("5", 0.5), ("a: [b]", 0.25)).mean_logprob == pytest.approx((log(0.5) + log(0.25)) / 2)


def test_a_machine_that_is_listed_twice_is_as_sure_as_the_less_sure_of_both() -> None:
    text = '{"on":["M05"],"off":["M05"],"phase":"Phase3"}'
    assert sure(text, ("5", 0.5), ("5", 0.25)).machines == {"M05": pytest.approx(0.25)}


def test_words_in_a_text_are_no_values() -> None:
    text = '{"on":[],"off":[],"phase":"Phase3","next":"Phase4","why":"\\"on\\":[\\"M09\\"] phase","tips":["M08"]}'
    found = sure(text, ("3", 0.9), ("M09", 0.1), ("M08", 0.1))
    assert (found.machines, found.phase) == ({}, pytest.approx(0.9))


@pytest.mark.parametrize("text", [SMALL, FULL])
def test_of_a_cut_off_answer_whole_values_count_as_far_as_they_go(text: str) -> None:
    whole = certainty(text, [])
    for length in range(len(text)):
        found = certainty(text[:length], [])
        assert found.machines.items() <= whole.machines.items()
        assert (found.phase, found.next_phase) in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
        assert msgspec.json.decode(msgspec.json.encode(found), type=Certainty) == found
    assert certainty(text[: text.index('"Phase3"') + 8], []).phase == 1.0
    assert certainty(text[: text.index('"Phase3"') + 7], []).phase == 0.0


PHASES = ("Phase1", "Phase2", "Phase3")


def test_what_was_not_chosen_goes_to_the_phases_that_it_would_have_led_to() -> None:
    at = SMALL.index("3")
    found = certainty(SMALL, [Scored(at, at + 1, log(0.6), (("1", log(0.3)), ("2", log(0.1))))], PHASES)
    assert found.phases == pytest.approx({"Phase1": 0.3, "Phase2": 0.1, "Phase3": 0.6})


def test_a_token_that_leads_to_several_phases_counts_for_each_and_one_that_leads_to_none_for_none() -> None:
    phases = ("Tract", "Track", "End", "Phase3")
    begin, at = SMALL.index('"phase":') + 8, SMALL.index("3")
    choices = [
        Scored(begin, at, log(0.5), (('"T', log(0.3)), ('"End","n', log(0.1)), ("null", log(0.1)))),
        Scored(at, at + 1, log(0.75), (("4", log(0.25)),)),
    ]
    found = certainty(SMALL, choices, phases)
    assert found.phases == pytest.approx({"Tract": 0.15, "Track": 0.15, "End": 0.1, "Phase3": 0.375})


def test_rivals_of_machines_and_of_the_next_phase_are_none_of_the_phase() -> None:
    rivals = (("1", log(0.3)),)
    at = [SMALL.index("5"), SMALL.index("3"), SMALL.index("4")]
    found = certainty(SMALL, [Scored(each, each + 1, log(0.7), rivals) for each in at], PHASES)
    assert found.phases == pytest.approx({"Phase1": 0.3, "Phase2": 0.0, "Phase3": 0.7})


def test_where_too_much_was_allowed_to_be_told_the_other_phases_share_what_was_not_chosen() -> None:
    at = SMALL.index("3")
    found = certainty(SMALL, [Scored(at, at + 1, log(0.6))], PHASES)
    assert found.phases == pytest.approx({"Phase1": 0.2, "Phase2": 0.2, "Phase3": 0.6})
    assert certainty(SMALL, [], ("Phase3",)).phases == {"Phase3": 1.0}
    assert certainty(SMALL, [], PHASES).phases == {"Phase1": 0.0, "Phase2": 0.0, "Phase3": 1.0}


def test_a_probability_is_never_more_than_one_however_it_is_added_up() -> None:
    begin, at = SMALL.index('"phase":') + 8, SMALL.index("3")
    sure = log(1.0 + 1e-12)
    choices = [Scored(begin, at, log(1e-12), (('"Phase1', sure),)), Scored(at, at + 1, 0.0, (("1", sure),))]
    found = certainty(SMALL, choices, PHASES)
    assert found.phases["Phase1"] == 1.0
    assert msgspec.json.decode(msgspec.json.encode(found), type=Certainty) == found


def test_rounding_never_makes_a_probability_more_than_one() -> None:
    found = certainty(SMALL, [Scored(0, len(SMALL), -0.0)])
    assert max(found.phase, *found.machines.values()) <= exp(0.0)
