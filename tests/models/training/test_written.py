"""What somebody wrote is said in made sessions, and switches what its rows say."""

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from models.training.apart import is_apart
from models.training.generate import lessons
from models.training.lesson import Lesson
from models.training.settings import DEFAULT_FILE, load_settings
from models.training.written import Written, written, written_room
from pipeline.config import resolve
from pipeline.errors import ConfigError
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
PCNL = SURGERIES["PCNL"]


def of(path: Path, *rows: dict[str, Any]) -> Written:
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps({"surgery": "PCNL", **row}) + "\n" for row in rows))
    (found,) = written([file])
    return found


def taught(told: Written, share: float, count: int = 300) -> list[Lesson]:
    return list(lessons(4, count, share_invented=0.0, written=[told], share_written=share))


def test_what_a_row_switches_is_known_in_the_order_it_is_said(tmp_path: Path) -> None:
    row = {"text": "Lights on, monitor on, and the ventilator off.", "expect_on": ["M01", "M09"], "expect_off": ["M03"]}
    (sentence,) = of(tmp_path, row).sentences
    assert sentence.text == row["text"]
    assert list(sentence.effects.items()) == [("M09", "ON"), ("M01", "ON"), ("M03", "OFF")]


def test_standby_is_standby_and_a_silent_row_switches_nothing(tmp_path: Path) -> None:
    told = of(
        tmp_path, {"text": "Suction on standby.", "expect_off": ["M06"], "expect_standby": ["M06"]}, {"text": "Tea?"}
    )
    assert [dict(each.effects) for each in told.sentences] == [{"M06": "STANDBY"}, {}]


def test_it_is_said_in_made_sessions_and_answered_as_the_row_says(tmp_path: Path) -> None:
    told = of(tmp_path, {"text": "Fluoro on, everybody back.", "expect_on": ["M04"]}, {"text": "Tea, anybody?"})
    found = [each for each in taught(told, 0.5) if each.kind == "written" and each.surgery.surgery == "PCNL"]
    assert len(found) > 20
    for lesson in found:
        newest = lesson.lines[-1].text
        names = {machine.name for machine in lesson.surgery.machines if machine.id in lesson.answer.on}
        if newest == "Fluoro on, everybody back.":
            assert names == {"C-Arm Fluoroscopy"}
        if newest == "Tea, anybody?":
            assert lesson.answer.on == lesson.answer.off == ()
    assert max(len(lesson.lines) for lesson in found) > 3
    assert {bool(lesson.moment.phase) for lesson in found} == {True, False}


def test_the_share_of_a_room_is_kept(tmp_path: Path) -> None:
    told = of(tmp_path, {"text": "Fluoro on, everybody back.", "expect_on": ["M04"]})
    for share, low, high in ((0.2, 0.1, 0.32), (0.7, 0.55, 0.85)):
        kinds = [each.kind == "written" for each in taught(told, share, 900) if each.surgery.surgery == "PCNL"]
        assert low < sum(kinds) / len(kinds) < high


def test_ids_and_order_are_others_in_some_rooms_and_the_machines_the_same(tmp_path: Path) -> None:
    told = of(tmp_path, {"text": "Fluoro on.", "expect_on": ["M04"]})
    rooms = [written_room(Random(seed), told, 0.5) for seed in range(20)]
    assert {room.surgery.machine_ids == PCNL.machine_ids for room in rooms} == {True, False}
    for room in rooms:
        assert sorted(room.surgery.machine_ids) == sorted(PCNL.machine_ids)
        (sentence,) = room.written
        assert [room.surgery.machine(each).name for each in sentence.effects] == ["C-Arm Fluoroscopy"]  # type: ignore[union-attr]


def test_what_tells_a_phase_is_said_in_that_phase(tmp_path: Path) -> None:
    line = "Nephrostomy first, then a stitch."
    told = of(tmp_path, {"text": line, "expect_on": [], "expect_phase": "Phase5"}, {"text": "Tea?"})
    assert told.of_phases == {"Phase5": (line,)}
    assert [each.text for each in told.sentences] == ["Tea?"]
    room = written_room(Random(1), told, 0.5)
    assert line in room.phase_talk("Phase5").said


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Something off.", "match": "any_off"},
        {"text": "At least the suction on.", "expect_on": ["M06"], "match": "contains"},
        {"text": "That and that on.", "expect_on": ["M06", "M07"]},  # in which order?
        {"text": "And that off again.", "prior": ["Suction on."], "expect_off": ["M06"]},
    ],
)
def test_a_row_whose_answer_is_not_known_is_none(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"rows\.jsonl: no row in it to learn from"):
        of(tmp_path, row)


def test_what_a_model_is_measured_with_is_left_out(tmp_path: Path) -> None:
    lines = resolve("examples/understanding/utterances.jsonl").read_text(encoding="utf-8").splitlines()
    measured = next(row for row in map(json.loads, lines) if row["surgery"] == "PCNL" and not is_apart(row["text"]))
    told = of(tmp_path, measured, {"text": "Suction on.", "expect_on": ["M06"]})
    assert [each.text for each in told.sentences] == ["Suction on."]


def test_the_shipped_files_are_about_the_shipped_and_many_other_surgeries() -> None:
    found = written(map(resolve, load_settings(DEFAULT_FILE).lessons.written))
    others = load_surgeries(resolve("examples/understanding/taught/machines"))
    assert {each.surgery.surgery for each in found} == set(SURGERIES | others)
    sentences = [each for told in found for each in told.sentences]
    assert len(sentences) > 5000
    assert 0.25 < sum(not each.effects for each in sentences) / len(sentences) < 0.6


def test_a_model_learns_of_surgeries_that_do_not_ship_too() -> None:
    found = written(map(resolve, load_settings(DEFAULT_FILE).lessons.written))
    made = list(lessons(6, 2000, share_invented=0.7, written=found, share_written=0.5))
    spoken = [lesson for lesson in made if lesson.kind == "written"]
    assert 0.2 < len(spoken) / len(made) < 0.5
    assert len({lesson.surgery.surgery for lesson in spoken} - set(SURGERIES)) > 5
    for lesson in spoken:
        assert re.sub(r"\W", "", lesson.transcript(True))
        assert {*lesson.answer.on, *lesson.answer.off} <= set(lesson.surgery.machine_ids)
