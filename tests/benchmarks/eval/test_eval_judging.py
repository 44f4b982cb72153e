from pathlib import Path
from typing import Any

import pytest
from eval_builders import utterance

from benchmarks.eval.judging import Came, expected, faults, told


def came(toggles: str, **more: Any) -> Came:
    """What switched machines, given as "M06 ON, M05 OFF"."""
    pairs = [pair.split() for pair in toggles.split(",") if pair]
    return Came(toggles=tuple({"machine_id": i, "action": action} for i, action in pairs), **more)


@pytest.mark.parametrize(
    ("fields", "toggles", "wrong"),
    [
        ({"expect_on": ["M06"]}, "M06 ON", []),
        ({"expect_on": ["M06"]}, "", ["missing M06 ON"]),
        ({"expect_on": ["M06"]}, "M06 OFF", ["missing M06 ON", "M06 OFF"]),
        ({"expect_on": ["M06"]}, "M06 ON, M05 ON", ["M05 ON"]),
        ({"expect_on": ["M06"], "match": "contains"}, "M06 ON, M05 ON", []),
        ({"expect_off": ["M06"], "match": "contains"}, "M05 OFF", ["missing M06 OFF"]),
        ({"expect_off": ["M06"]}, "M06 STANDBY", []),
        ({"expect_standby": ["M06"]}, "M06 STANDBY", []),
        ({"expect_standby": ["M06"]}, "M06 OFF", ["missing M06 STANDBY"]),
        ({"expect_standby": [], "expect_off": ["M06"]}, "M06 STANDBY", ["M06 STANDBY"]),
        ({"match": "absent"}, "", []),
        ({"match": "absent"}, "M06 OFF", ["M06 switched"]),
        ({"match": "absent", "expect_absent": ["M05"]}, "M06 OFF", []),
        ({"match": "absent", "expect_absent": ["M06", "M05"]}, "M06 STANDBY", ["M06 switched"]),
        ({"match": "any_off"}, "M01 OFF, M06 ON", []),
        ({"match": "any_off"}, "M06 ON", ["nothing OFF"]),
        ({"match": "any_off", "expect_off": ["M05", "M06"]}, "M06 STANDBY", []),
        ({"match": "any_off", "expect_off": ["M05", "M06"]}, "M07 OFF", ["none of M05 M06 OFF"]),
    ],
)
def test_toggles_are_compared_as_the_row_says(
    tmp_path: Path, fields: dict[str, Any], toggles: str, wrong: list[str]
) -> None:
    assert faults(utterance(tmp_path / "r.jsonl", **fields), came(toggles)) == wrong


def test_deferred_machines_are_compared_as_a_set(tmp_path: Path) -> None:
    exact = utterance(tmp_path / "r.jsonl", expect_deferred=["M05", "M06"])
    assert faults(exact, came("", deferred=frozenset({"M06", "M05"}))) == []
    assert faults(exact, came("", deferred=frozenset({"M05", "M07"}))) == ["missing M06 deferred", "M07 deferred"]
    contains = utterance(tmp_path / "r.jsonl", expect_deferred=["M05"], match="contains")
    assert faults(contains, came("", deferred=frozenset({"M05", "M07"}))) == []


def test_an_unknown_device_is_found_in_other_words_for_it(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", expect_unknown=["Argon beam", "laser"])
    assert faults(row, came("", unknown=("the argon beam coagulator", "Laser"))) == []
    assert faults(row, came("", unknown=("argon-beam", "laser"))) == []
    assert faults(row, came("", unknown=("argon", "x-ray"))) == ["missing 'laser' as unknown"]
    hyphen = utterance(tmp_path / "h.jsonl", expect_unknown=["X-ray"])
    assert faults(hyphen, came("", unknown=("x ray",))) == []
    assert faults(row, came("", unknown=("",))) == ["missing 'Argon beam' as unknown", "missing 'laser' as unknown"]


def test_the_phase_afterwards_is_compared_only_if_one_is_expected(tmp_path: Path) -> None:
    assert faults(utterance(tmp_path / "r.jsonl", phase="Phase4"), came("", phase="Phase2")) == []
    expecting = utterance(tmp_path / "r.jsonl", expect_phase="Phase2")
    assert faults(expecting, came("", phase="Phase2")) == []
    assert faults(expecting, came("", phase="Phase3")) == ["phase Phase3, not Phase2"]


def test_an_answer_is_not_held_to_what_it_has_no_words_for(tmp_path: Path) -> None:
    row = utterance(
        tmp_path / "r.jsonl",
        expect_standby=["M06"],
        expect_deferred=["M05"],
        expect_unknown=["laser"],
        expect_on=["M02"],
    )
    assert faults(row, came("M06 OFF, M02 ON", whole=False)) == []
    assert faults(row, came("M06 OFF", whole=False)) == ["missing M02 ON"]


def test_a_failure_is_told_with_what_was_expected_and_the_words_and_rule_of_what_came(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", expect_on=["M06"], expect_off=["M05"], expect_phase="Phase2")
    assert expected(row) == "on: M06; off: M05, and nothing else; phase: Phase2"
    toggle = {"machine_id": "M05", "action": "ON", "trigger": "the pump", "rule": "bare state", "confidence": 0.85}
    answer = Came(toggles=(toggle,), deferred=frozenset({"M07"}), unknown=("laser",))
    assert told(answer) == "M05 ON ('the pump', bare state, 0.85); deferred: M07; unknown: laser"
    assert told(Came(note="timeout: late")) == "nothing switched; timeout: late"
