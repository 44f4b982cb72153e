"""Scores against small cases that were worked out by hand."""

from itertools import permutations
from typing import Literal

import pytest
from eval_builders import state
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.eval.scores import Score, Toggled, agreeing_s, match, score
from benchmarks.eval.truth import PhaseStart, Switch, Truth

IDS = ("M01", "M05", "M06", "M09")


def toggles(*times: float, id: str = "M06", state: Literal["ON", "OFF"] = "ON") -> list[Toggled]:
    return [Toggled(t, id, state) for t in times]


def truth(*switches: tuple[float, str, Literal["ON", "OFF"]], on: str = "M01 M09", phases: str = "0 Phase1") -> Truth:
    starts = [start.split() for start in phases.split(",")]
    return Truth(
        surgery="PCNL",
        initial_on=tuple(on.split()),
        machines=tuple(Switch(*switch) for switch in switches),
        phases=tuple(PhaseStart(phase, float(t)) for t, phase in starts),
    )


def test_toggles_match_within_ten_seconds_either_way_and_no_further() -> None:
    assert match(toggles(100.3), toggles(110.3)) == (1, [], [])
    assert match(toggles(100.3), toggles(90.3)) == (1, [], [])
    assert match(toggles(100.0), toggles(110.1)) == (0, toggles(100.0), toggles(110.1))


def test_a_toggle_of_another_machine_or_state_does_not_match() -> None:
    assert match(toggles(5.0), toggles(5.0, id="M05"))[0] == 0
    assert match(toggles(5.0), toggles(5.0, state="OFF"))[0] == 0


def test_a_true_toggle_matches_one_published_toggle_only() -> None:
    assert match(toggles(100.0), toggles(98.0, 102.0)) == (1, [], toggles(102.0))
    assert match(toggles(98.0, 102.0), toggles(100.0)) == (1, toggles(102.0), [])


def test_a_nearer_partner_is_left_to_a_toggle_that_has_no_other() -> None:
    assert match(toggles(0.0, 12.0), toggles(9.0, 20.0)) == (2, [], [])
    assert match(toggles(10.0, 19.0), toggles(1.0, 11.0)) == (2, [], [])


@given(st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, 40), max_size=4))
def test_no_other_pairing_gives_more_matches(true: list[int], said: list[int]) -> None:
    short, long = sorted((true, said), key=len)
    best = max(sum(abs(a - b) <= 10 for a, b in zip(short, way, strict=False)) for way in permutations(long))
    matched, missed, false = match(toggles(*map(float, true)), toggles(*map(float, said)))
    assert matched == best
    assert (matched + len(missed), matched + len(false)) == (len(true), len(said))


def test_step_functions_agree_for_as_long_as_they_have_one_value() -> None:
    one = [(0.0, "a"), (10.0, "b"), (30.0, "a")]
    assert agreeing_s(one, [(0.0, "a"), (20.0, "b")], 0.0, 50.0) == 10.0 + 10.0
    assert agreeing_s(one, one, 5.0, 50.0) == 45.0
    assert agreeing_s(one, [(40.0, "a")], 0.0, 50.0) == 10.0
    assert agreeing_s(one, [(0.0, "b"), (0.0, "a")], 0.0, 10.0) == 10.0  # of two at one time the last counts
    assert agreeing_s([], [], 0.0, 50.0) == 0.0


def test_a_session_is_scored_by_its_published_lists() -> None:
    true = truth((20.0, "M06", "ON"), (60.0, "M06", "OFF"), (70.0, "M05", "ON"), phases="0 Phase1,50 Phase2")
    states = [
        state(0.0, "M01 M09"),
        state(24.0, "M01 M06 M09"),  # 4 s late
        state(40.0, "M01 M05 M06 M09", "Phase2"),  # M05 wrongly, and the phase 10 s too early
        state(60.0, "M01 M05 M09", "Phase2"),
    ]
    scored = score(true, IDS, states, 100.0)
    assert scored.counts() == {"true": 3, "published": 3, "matched": 2}
    assert scored.missed == (Toggled(70.0, "M05", "ON"),)
    assert scored.false == (Toggled(40.0, "M05", "ON"),)
    figures = scored.figures()
    assert figures["toggle_precision"] == pytest.approx(2 / 3)
    assert figures["toggle_recall"] == pytest.approx(2 / 3)
    assert figures["toggle_f1"] == pytest.approx(2 / 3)
    assert figures["machine_time"] == pytest.approx((400.0 - 4.0 - 30.0) / 400.0)
    assert figures["phase_time"] == pytest.approx(0.9)


def test_states_are_taken_in_the_order_of_message_time() -> None:
    states = [state(0.0, ""), state(50.0, "M06"), state(20.0, "M05"), state(50.0, "M05 M06")]
    scored = score(truth((20.0, "M05", "ON"), (50.0, "M06", "ON"), on=""), IDS, states, 60.0)
    assert scored.counts() == {"true": 2, "published": 4, "matched": 2}  # M05 went off and on again at 50 s
    assert scored.figures()["machine_time"] == 1.0


def test_what_only_says_again_how_a_machine_is_is_no_toggle() -> None:
    true = truth((10.0, "M01", "ON"), (20.0, "M06", "ON"), (90.0, "M06", "ON"))
    scored = score(true, IDS, [state(0.0, "M01 M09"), state(20.0, "M01 M06 M09"), state(90.0, "M01 M06 M09")], 100.0)
    assert scored.counts() == {"true": 1, "published": 1, "matched": 1}


def test_a_machine_that_is_on_from_the_first_state_is_wrong_in_time_but_no_toggle() -> None:
    scored = score(truth(on=""), IDS, [state(0.0, "M01 M09")], 10.0)
    assert scored.figures()["toggle_f1"] == 1.0
    assert scored.figures()["machine_time"] == 0.5


def test_time_before_the_first_phase_of_the_truth_is_not_compared() -> None:
    scored = score(truth(phases="20 Phase2"), IDS, [state(0.0, "M01 M09", "Phase2")], 40.0)
    assert (scored.phase_s, scored.phase_right_s) == (20.0, 20.0)


def test_scores_of_sessions_add_up_by_what_was_counted() -> None:
    short = Score(matched=1, machine_s=10.0, machine_right_s=10.0, phase_s=10.0)
    long = Score(
        matched=2, false=tuple(toggles(1.0)), machine_s=90.0, machine_right_s=45.0, phase_s=30.0, phase_right_s=30.0
    )
    figures = (short + long).figures()
    assert figures["toggle_precision"] == 0.75
    assert figures["toggle_recall"] == 1.0
    assert figures["toggle_f1"] == pytest.approx(6 / 7)
    assert figures["machine_time"] == 0.55
    assert figures["phase_time"] == 0.75


def test_a_session_in_which_nothing_is_to_be_found_and_nothing_is_found_is_right() -> None:
    assert set(Score().figures().values()) == {1.0}
    assert Score(false=tuple(toggles(1.0))).figures()["toggle_f1"] == 0.0
    assert Score(missed=tuple(toggles(1.0))).figures()["toggle_f1"] == 0.0
