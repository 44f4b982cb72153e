"""Lessons from journals: lines with what was accepted of them, and with what a human made of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_lessons import small_surgery

from models.training.from_journal import lessons_of
from models.training.lesson import Lesson, Line
from models.training.teaching import read_lessons
from pipeline.codec import encode, type_name
from pipeline.config import ROOT
from pipeline.errors import ConfigError, OrstateError
from pipeline.journal import JournalWriter
from pipeline.messages import Input, Message, Override, SessionStart, SurgeryState, Transcript
from pipeline.redact import redact

SURGERIES = {"One": small_surgery("One")}


def write(folder: Path, *messages: Message) -> Path:
    folder.mkdir(exist_ok=True)
    writer = JournalWriter(folder / "prompt.mcap")
    for message in messages:
        t = message.t if isinstance(message, Input | SurgeryState) else 0.0
        writer.write(type_name(message), encode(message), t, 0)
    writer.close()
    return folder


def start(surgery: str = "One") -> SessionStart:
    return SessionStart(session="a", seq=1, t=0.0, surgery=surgery)


def line(seq: int, text: str, **more: Any) -> Transcript:
    return Transcript(session="a", seq=seq, t=10.0 * seq, text=text, **more)


def state(based_on: int, on: list[str], toggles: dict[str, str], phase: str = "Phase1") -> SurgeryState:
    contract = {
        "metadata": {"phase": phase, "next_phase": "Phase2", "reasoning": f"heard {based_on}"},
        "machines": {"0": [], "1": on},
        "details": {"toggles": [{"machine_id": i, "action": action} for i, action in toggles.items()]},
        "suggestions": ["Have it ready"],
    }
    return SurgeryState(
        session="a", seq=based_on, t=10.0 * based_on, based_on=based_on, outcome="ok", degraded=False, state=contract
    )


def human(machine: str, action: Any, t: float) -> Override:
    return Override(session="a", seq=90, t=t, machine=machine, action=action)


def said(lessons: list[Lesson]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(lesson.lines[-1].text, lesson.answer.on, lesson.answer.off) for lesson in lessons]


def test_a_line_is_a_lesson_with_what_its_state_switched(tmp_path: Path) -> None:
    journal = write(
        tmp_path / "run",
        start(),
        line(2, "suction on", speaker="Surgeon"),
        state(2, ["M01"], {"M01": "ON"}),
        line(3, "suction off"),
        state(3, [], {"M01": "OFF"}, phase="Phase2"),
    )
    first, second = lessons_of(journal, SURGERIES)
    assert (first.answer.on, first.answer.off, first.answer.phase) == (("M01",), (), "Phase1")
    assert (first.answer.why, first.answer.tips) == ("heard 2", ("Have it ready",))
    assert dict(first.moment.machines) == {"M01": "OFF", "M02": "OFF", "M03": "OFF"}
    assert second.lines == (Line(20.0, "Surgeon", "suction on"), Line(30.0, "", "suction off"))
    assert (second.answer.on, second.answer.off, second.answer.phase) == ((), ("M01",), "Phase2")
    assert (second.moment.machines["M01"], second.moment.phase) == ("ON", "Phase1")


def test_the_last_state_of_a_line_counts(tmp_path: Path) -> None:
    journal = write(tmp_path / "run", start(), line(2, "pump on"), state(2, [], {}), state(2, ["M02"], {"M02": "ON"}))
    assert said(lessons_of(journal, SURGERIES)) == [("pump on", ("M02",), ())]


def test_what_was_shown_but_is_not_in_effect_is_no_truth(tmp_path: Path) -> None:
    journal = write(tmp_path / "run", start(), line(2, "the pump"), state(2, [], {"M02": "ON"}))
    assert said(lessons_of(journal, SURGERIES)) == [("the pump", (), ())]


def test_who_sets_a_machine_by_hand_soon_behind_a_line_corrects_it(tmp_path: Path) -> None:
    journal = write(
        tmp_path / "run",
        start(),
        line(2, "not the pump"),
        state(2, ["M02"], {"M02": "ON"}),
        human("M02", "OFF", 24.0),
        line(4, "light"),
        state(4, [], {}),
        human("M03", "ON", 56.0),
        human("M01", "RELEASE", 41.0),
    )
    assert said(lessons_of(journal, SURGERIES)) == [("not the pump", (), ("M02",)), ("light", (), ())]


def test_lines_without_a_state_that_may_still_change_or_of_unknown_surgeries_are_none(tmp_path: Path) -> None:
    journal = write(tmp_path / "run", start(), line(2, "pump"), line(3, "pump o", is_final=False), state(3, [], {}))
    with pytest.raises(OrstateError, match=r"run: has no lessons: no line of a known surgery has a published state"):
        lessons_of(journal, SURGERIES)
    journal = write(tmp_path / "other", start("Other"), line(2, "pump"), state(2, [], {}))
    with pytest.raises(OrstateError, match="has no lessons"):
        lessons_of(journal, SURGERIES)


def test_a_redacted_journal_has_nothing_to_learn_from(tmp_path: Path) -> None:
    journal = write(tmp_path / "run", start(), line(2, "pump on"), state(2, ["M02"], {"M02": "ON"}))
    redact(journal, tmp_path / "redacted", lambda _: None)
    with pytest.raises(OrstateError, match="its 1 lines are redacted, and words are what is learned"):
        lessons_of(tmp_path / "redacted", SURGERIES)


def test_what_the_command_writes_is_private_and_is_read_by_a_training(tmp_path: Path) -> None:
    journal = write(tmp_path / "run", start("PCNL"), line(2, "suction on"), state(2, ["M06"], {"M06": "ON"}))
    command = [sys.executable, "-m", "models.training.from_journal", str(journal), "-o", str(tmp_path / "own.jsonl")]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "own.jsonl").stat().st_mode & 0o777 == 0o600
    (lesson,) = read_lessons(tmp_path / "own.jsonl")
    assert (lesson.surgery.surgery, lesson.kind, lesson.answer.on) == ("PCNL", "own", ("M06",))
    again = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, timeout=60)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "own.jsonl: cannot be written: File exists" in again.stderr


def test_a_file_of_lessons_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.jsonl: cannot be read"):
        read_lessons(tmp_path / "gone.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"surgery": 3}\n')
    with pytest.raises(ConfigError, match=r"bad\.jsonl, line 1: "):
        read_lessons(tmp_path / "bad.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigError, match="has no lessons"):
        read_lessons(tmp_path / "empty.jsonl")
