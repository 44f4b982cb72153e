"""The belief about the phase: forward with evidence, back with much of it, and a model's vote on top."""

from hypothesis import given
from hypothesis import strategies as st

from stages.phases import PhaseBelief, answered, judged, seen, with_vote

PHASES = ("A", "B", "C", "D")


def belief(*evidence: dict[str, float]) -> PhaseBelief:
    started = PhaseBelief(PHASES)
    for one in evidence:
        started.learn(one)
    return started


def test_it_starts_in_the_first_phase_and_stays_there_without_evidence() -> None:
    assert belief().phase == "A"
    assert belief({}).weights() == belief().weights()


def test_strong_evidence_moves_it_to_the_next_phase_at_once_and_weak_evidence_by_and_by() -> None:
    assert belief({"B": 15.0}).phase == "B"
    assert belief({"B": 4.0}).phase == "A"
    assert belief({"B": 4.0}, {"B": 4.0}).phase == "B"


def test_a_phase_may_be_skipped_with_more_evidence() -> None:
    assert belief({"C": 15.0}).phase == "A"
    assert belief({"C": 60.0}).phase == "C"


def test_going_back_needs_more_evidence_than_going_on() -> None:
    there = ({"B": 15.0}, {"B": 15.0}, {"C": 15.0}, {"C": 15.0}, {"C": 15.0})
    assert belief(*there, {"B": 15.0}).phase == "C"
    assert belief(*there, {"D": 15.0}).phase == "D"
    assert belief(*there, {"B": 15.0}, {"B": 15.0}, {"B": 15.0}).phase == "B"


def test_a_sure_sight_decides_and_an_unsure_one_does_not() -> None:
    assert belief(seen("D", 1.0, 4)).phase == "D"
    assert belief(seen("D", 0.6, 4)).phase == "A"
    assert belief(seen("D", 1.0, 4), seen("B", 1.0, 4)).phase == "B"
    assert belief(seen("D", 1.0, 4), seen("B", 0.7, 4)).phase == "D"


def test_a_vote_counts_by_how_sure_it_is_and_does_not_beat_clear_evidence() -> None:
    open_ = {"A": 0.6, "B": 0.3, "C": 0.1}
    assert with_vote("A", open_, answered("B", 1.0)) == "B"
    assert with_vote("A", open_, answered("B", 0.0)) == "A"
    assert with_vote("A", {"A": 0.99, "B": 0.01}, answered("B", 1.0)) == "A"
    assert with_vote("A", open_, answered("Z", 1.0)) == "A"


def test_an_answer_moves_on_to_the_next_phase_at_once_and_further_only_when_it_is_given_again() -> None:
    assert belief(answered("B", 0.95)).phase == "B"
    assert belief(answered("B", 0.3)).phase == "A"
    assert belief(answered("B", 0.3), answered("B", 0.3)).phase == "B"
    assert belief(answered("D", 1.0)).phase == "A"
    assert belief(*[answered("D", 1.0)] * 3).phase == "D"


@given(st.lists(st.dictionaries(st.sampled_from(PHASES), st.floats(1.0, 1e9)), max_size=30))
def test_any_evidence_leaves_a_belief_that_adds_up(evidence: list[dict[str, float]]) -> None:
    weights = belief(*evidence).weights()
    assert abs(sum(weights.values()) - 1.0) < 0.001
    assert all(0.0 <= weight <= 1.0 for weight in weights.values())


def test_a_model_that_is_not_trusted_with_phases_moves_none() -> None:
    assert with_vote("A", {"A": 0.4, "B": 0.6}, answered("B", 0.0)) == "A"


def test_what_a_model_holds_of_each_phase_moves_the_belief_and_what_it_cannot_tell_moves_nothing() -> None:
    cannot_tell = judged(dict.fromkeys(PHASES, 0.25))
    assert cannot_tell == dict.fromkeys(PHASES, 1.0)
    sure = judged({"A": 0.01, "B": 0.97, "C": 0.01, "D": 0.01})
    assert belief(sure).phase == "A"  # a window of which most was seen before
    assert belief(sure, sure).phase == "B"
    torn = judged({"A": 0.48, "B": 0.5, "C": 0.01, "D": 0.01})
    assert belief(torn, torn).phase == "A"
    assert belief(sure, sure, torn, torn).phase == "B"


def test_a_vote_on_all_phases_is_weighed_against_the_phase_that_stands() -> None:
    vote = judged({"A": 0.3, "B": 0.6, "C": 0.05, "D": 0.05})
    assert with_vote("A", {"A": 0.5, "B": 0.45, "C": 0.03, "D": 0.02}, vote) == "B"
    assert with_vote("A", {"A": 0.8, "B": 0.1, "C": 0.05, "D": 0.05}, vote) == "A"
