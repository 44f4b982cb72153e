"""What becomes of a text: cut off or not, as sure as its model was, and safe or not."""

from typing import Any

import pytest
from parse_builders import PCNL, make_completion, make_rules, small_answer, with_machine

from pipeline.messages import Certainty
from stages.parse.judge import judge
from stages.parse.normalise import LEAST, ModelAnswer, as_sure_as, normalise

SURE = Certainty(mean_logprob=-0.2, phase=0.9, next_phase=0.4, machines={"M05": 0.7, "M06": 0.8})


def normalised(**changes: Any) -> ModelAnswer:
    machines = with_machine(make_rules(), "M06", "ON", "rule").machines
    return normalise(small_answer(**changes), PCNL, machines)


def confidences(answer: ModelAnswer) -> dict[str, float]:
    return {toggle.machine_id: toggle.confidence for toggle in answer.toggles}


def test_a_text_that_reached_the_limit_before_it_was_whole_is_truncated() -> None:
    judged = judge(make_completion('{"on":["M05"],"why":"It', truncated=True, answer_tokens=768), PCNL)
    assert (judged.outcome, judged.answer, judged.strategy) == ("truncated", None, "")
    assert judged.reason == "the answer reached the limit of 768 tokens before it was whole"


def test_a_whole_object_is_an_answer_although_the_limit_was_reached_behind_it() -> None:
    judged = judge(make_completion('{"phase": "Phase4"} and furthermore', truncated=True), PCNL)
    assert (judged.outcome, judged.strategy) == ("ok", "braces")


def test_what_is_truncated_and_still_an_object_of_nothing_is_no_answer() -> None:
    assert judge(make_completion('{"a": {}} and', truncated=True), PCNL).outcome == "schema_failed"


def test_a_toggle_is_as_sure_as_the_choice_of_its_machine() -> None:
    answer = as_sure_as(normalised(on=["M05"], off=["M06"], conf=0.1), SURE)
    assert confidences(answer) == {"M05": 0.7, "M06": 0.8}


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        ({"on": ["M05"], "off": ["M06"]}, 0.7),
        ({"on": [], "off": ["M06"]}, 0.8),
        ({}, 0.9),
        ({"phase": "", "on": ["M06"]}, 0.8),
        ({"phase": "", "on": []}, 0.0),
        ({"on": ["M07"]}, 0.0),  # of a machine that the model did not list itself, nothing is known
    ],
)
def test_an_answer_is_as_sure_as_the_least_sure_of_its_phase_and_toggles(
    said: dict[str, Any], confidence: float
) -> None:
    assert as_sure_as(normalised(**said), SURE).confidence == confidence


@pytest.mark.parametrize(("sure", "kept"), [(LEAST, {"M05": 0.4, "M06": 0.8}), (LEAST - 0.01, {"M06": 0.8})])
def test_a_change_that_is_only_the_likeliest_of_many_is_left_out_and_noted(sure: float, kept: dict[str, float]) -> None:
    certainty = Certainty(mean_logprob=0.0, phase=0.9, next_phase=0.9, machines={"M05": sure, "M06": 0.8})
    answer = as_sure_as(normalised(on=["M05"], off=["M06"]), certainty)
    assert confidences(answer) == kept
    assert answer.confidence == min(kept.values())
    assert [note.split(":")[0] for note in answer.dropped] == [i for i in ("M05", "M06") if i not in kept]


def test_only_confidences_are_changed_and_rounded() -> None:
    sure = Certainty(mean_logprob=0.0, phase=0.123456, next_phase=0.0, machines={"M05": 2 / 3})
    before = normalised(on=["M05"])
    after = as_sure_as(before, sure)
    assert (after.confidence, confidences(after)) == (0.123, {"M05": 0.667})
    for field in ("phase", "next_phase", "reasoning", "suggestions", "dropped"):
        assert getattr(after, field) == getattr(before, field)


def test_what_a_model_writes_of_its_confidence_counts_only_if_nothing_is_known_of_its_choices() -> None:
    said = small_answer(on=["M05"], conf=0.3)
    written, known = judge(make_completion(said), PCNL), judge(make_completion(said, certainty=SURE), PCNL)
    assert written.answer is not None
    assert known.answer is not None
    assert (written.answer.confidence, confidences(written.answer)) == (0.3, {"M05": 0.3})
    assert (known.answer.confidence, confidences(known.answer)) == (0.7, {"M05": 0.7})


def test_a_sure_answer_is_as_unsafe_as_any() -> None:
    judged = judge(make_completion(small_answer(tips=["Inject 5 ml"]), certainty=SURE), PCNL)
    assert (judged.outcome, judged.answer) == ("unsafe", None)
