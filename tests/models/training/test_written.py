"""Lessons of written sentences say what their rows say, of a dictionary whose ids are others."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.training.apart import is_apart
from models.training.lesson import Lesson, shown
from models.training.settings import DEFAULT_FILE, load_settings
from models.training.written import EACH, written_lessons
from pipeline.config import resolve
from pipeline.errors import ConfigError
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
PCNL = SURGERIES["PCNL"]


def written(path: Path, *rows: dict[str, Any], seed: int = 1) -> list[Lesson]:
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps({"surgery": "PCNL", **row}) + "\n" for row in rows))
    return written_lessons([file], seed)


def names(lesson: Lesson, ids: tuple[str, ...]) -> list[str]:
    """By name, for ids are shuffled."""
    return [machine.name for each in ids if (machine := lesson.surgery.machine(each))]


def test_what_a_row_switches_is_the_answer_in_the_order_it_is_said(tmp_path: Path) -> None:
    row = {"text": "Lights on, monitor on, and the ventilator off.", "expect_on": ["M01", "M09"], "expect_off": ["M03"]}
    (lesson,) = written(tmp_path, row)
    assert names(lesson, lesson.answer.on) == ["OR Lights", "Patient Monitor"]
    assert names(lesson, lesson.answer.off) == ["Ventilator"]
    assert lesson.lines[-1].text == row["text"]
    assert lesson.known == "toggles"


def test_ids_and_order_are_others_and_the_machines_the_same(tmp_path: Path) -> None:
    rows = [{"text": f"Fluoro on, {n}.", "expect_on": ["M04"]} for n in range(5 * EACH)]
    found = written(tmp_path, *rows)
    assert len(found) == 5 * EACH
    assert len({lesson.surgery for lesson in found}) == 5
    assert len({lesson.answer.on for lesson in found}) > 1
    for lesson in found:
        assert sorted(lesson.surgery.machine_ids) == sorted(PCNL.machine_ids)
        assert {machine.name for machine in lesson.surgery.machines} == {machine.name for machine in PCNL.machines}
        assert names(lesson, lesson.answer.on) == ["C-Arm Fluoroscopy"]


def test_where_rules_run_it_is_in_effect_already_and_alone_it_is_not(tmp_path: Path) -> None:
    found = written(tmp_path, *({"text": f"Fluoro on, {n}.", "expect_on": ["M04"]} for n in range(60)))
    alone = [lesson for lesson in found if not lesson.moment.phase]
    assert 10 < len(alone) < 50
    for lesson in found:
        if lesson.moment.phase:
            assert lesson.moment.machines[lesson.answer.on[0]] == "ON"
    assert any(lesson.moment.machines[lesson.answer.on[0]] == "OFF" for lesson in alone)


def test_a_phase_is_taught_only_where_the_row_tells_it(tmp_path: Path) -> None:
    (lesson,) = written(tmp_path, {"text": "We are done, closing now.", "expect_on": [], "expect_phase": "Phase6"})
    assert (lesson.known, lesson.answer.phase) == ("phase", "Phase6")


def test_only_idle_lines_that_name_nothing_stand_before_a_row(tmp_path: Path) -> None:
    idle = [{"text": f"Tea for {n}, please."} for n in range(20)]
    rows = [{"text": f"Suction on, {n}.", "expect_on": ["M06"]} for n in range(40)]
    found = written(tmp_path, *idle, *rows, {"text": "The lithotripter is the loudest of all."})
    before = [line.text for lesson in found for line in lesson.lines[:-1]]
    assert len(before) > 20
    assert set(before) <= {row["text"] for row in idle}


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Something off.", "match": "any_off"},
        {"text": "At least the suction on.", "expect_on": ["M06"], "match": "contains"},
        {"text": "That and that on.", "expect_on": ["M06", "M07"]},  # in which order?
    ],
)
def test_a_row_whose_answer_is_not_known_is_none(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"rows\.jsonl: no row in it to learn from"):
        written(tmp_path, row)


def test_what_a_model_is_measured_with_is_left_out(tmp_path: Path) -> None:
    lines = resolve("examples/understanding/utterances.jsonl").read_text(encoding="utf-8").splitlines()
    measured = next(row for row in map(json.loads, lines) if row["surgery"] == "PCNL" and not is_apart(row["text"]))
    (lesson,) = written(tmp_path, measured, {"text": "Suction on.", "expect_on": ["M06"]})
    assert lesson.lines[-1].text == "Suction on."


def test_the_same_seed_gives_the_same_lessons(tmp_path: Path) -> None:
    rows = [{"text": f"Suction on, {n}.", "expect_on": ["M06"]} for n in range(40)]
    assert written(tmp_path, *rows, seed=3) == written(tmp_path, *rows, seed=3)
    assert written(tmp_path, *rows, seed=3) != written(tmp_path, *rows, seed=4)


def test_the_shipped_rows_are_taught_of_each_surgery_and_half_of_what_they_name_is_linked() -> None:
    settings = load_settings(DEFAULT_FILE).lessons
    found = written_lessons(map(resolve, settings.written), settings.seed)
    assert len(found) > 3500
    taught = load_surgeries(resolve("examples/understanding/taught/machines"))
    assert {lesson.surgery.surgery for lesson in found} == set(SURGERIES | taught)
    silent = sum(not (lesson.answer.on or lesson.answer.off) for lesson in found)
    assert 0.2 < silent / len(found) < 0.6
    ordered = [lesson for lesson in found if lesson.answer.on]
    linked = [each for each in ordered if f"({each.answer.on[0]}" in shown(each.surgery, each.lines[-1].text)]
    assert len(linked) / len(ordered) > 0.8
