"""The eval command as a script uses it, and that it says what the real pipeline says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.eval.answering import configured
from benchmarks.eval.room import open_room
from pipeline.log import Log
from pipeline.messages import Input, SurgeryState
from pipeline.replay import replay

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "pcnl_session.jsonl"
ROWS = [
    {"id": "a", "surgery": "PCNL", "text": "Turn on the suction.", "expect_on": ["M06"], "category": "commands"},
    {"id": "b", "surgery": "PCNL", "text": "Stop the irrigation.", "expect_on": ["M05"], "category": "commands"},
    {"surgery": "PCNL", "text": "Is the suction on?"},
]
TRUTH = {
    "surgery": "PCNL",
    "initial_on": ["M01", "M09"],
    "machines": [{"t": 12.0, "id": "M06", "state": "ON"}, {"t": 40.0, "id": "M05", "state": "ON"}],
    "phases": [{"phase": "Phase1", "start_s": 0.0}],
}
LINES = [
    {"t": 10.0, "speaker": "Surgeon", "text": "Suction on please."},
    {"t": 25.0, "speaker": "Surgeon", "text": "Lights off."},
    {"t": 50.0, "speaker": "Nurse", "text": "All quiet."},
]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "eval", *arguments],
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "one.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    (folder / "one.truth.json").write_text(json.dumps(TRUTH))
    return folder


def test_utterances_are_shown_by_category_with_the_failures_and_their_words(rows: Path) -> None:
    result = command(str(rows), "--by", "rule")
    assert result.returncode == 0, result.stderr
    table = [line.split() for line in result.stdout.splitlines()[:4]]
    assert table == [
        ["category", "cases", "passed", "share"],
        ["chatter", "1", "1", "1.000"],
        ["commands", "2", "1", "0.500"],
        ["all", "3", "2", "0.667"],
    ]
    assert "Stop the irrigation." in result.stdout
    assert "expected  on: M05, and nothing else" in result.stdout
    assert "came      M05 OFF ('irrigation'" in result.stdout
    assert "wrong     missing M05 ON; M05 OFF" in result.stdout
    assert "0 false toggles in 1 utterances" in result.stdout


def test_with_json_standard_output_is_one_object_and_nothing_else(rows: Path) -> None:
    bare = command(str(rows), "--json")
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout == command("--json", str(rows), "-").stdout
    told = json.loads(bare.stdout)
    assert {key: told[key] for key in ("cases", "passed", "by", "model")} == {
        "cases": 3,
        "passed": 2,
        "by": "rule",
        "model": "",
    }
    assert told["accuracy"] == pytest.approx(2 / 3)
    assert told["by_category"]["commands"] == {"cases": 2, "passed": 1, "accuracy": 0.5}
    [failure] = told["failures"]
    assert (failure["id"], failure["text"]) == ("b", "Stop the irrigation.")
    assert failure["toggles"][0]["machine_id"] == "M05"


def test_the_object_is_written_to_a_file_beside_the_table(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "rules.json"
    result = command(str(rows), "--json", str(out), "--by", "fused", "--model", "stub")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"written to {out}\n")
    told = json.loads(out.read_bytes())
    assert (told["cases"], told["by"], told["model"]) == (3, "fused", "stub")


@pytest.mark.parametrize("by", ["rule", "fused"])
def test_sessions_are_scored_against_their_truth(sessions: Path, by: str) -> None:
    result = command(str(sessions), "--by", by, "--model", "stub", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["toggles"] == {"true": 2, "published": 2, "matched": 1}
    assert (told["toggle_precision"], told["toggle_recall"], told["toggle_f1"]) == (0.5, 0.5, 0.5)
    assert told["machine_time"] == pytest.approx((9 * 50 - 2 - 25 - 10) / (9 * 50))
    assert told["phase_time"] == 1.0
    assert told["sessions"]["one"]["toggle_f1"] == 0.5
    missed, false = told["failures"]
    assert (missed["kind"], missed["id"], missed["state"], missed["t"]) == ("missed", "M05", "ON", 40.0)
    assert (false["kind"], false["id"], false["said"]) == ("false", "M09", "Lights off.")
    assert "lights" in false["words"]


def test_a_faulty_line_of_a_session_is_left_out_and_told(sessions: Path) -> None:
    with (sessions / "one.jsonl").open("a") as file:
        file.write('\n{"t": "soon", "text": "x"}\n')
    result = command(str(sessions))
    assert result.returncode == 0
    assert f"left out: {sessions / 'one.jsonl'}: line 4: " in result.stderr
    assert "F1" in result.stdout
    assert "missed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["/nowhere.jsonl"], "path '/nowhere.jsonl' does not exist"),
        (["{folder}"], "no session (NAME.jsonl with NAME.truth.json) in it"),
        (["{rows}", "--by", "guess"], "'guess' is not one of"),
        (["{rows}", "--half", "report"], "no row of half 'report' in it"),
        (["{rows}", "out.json"], "--json out.json"),
        (["{rows}", "--calibrate", "--half", "report"], "leave out --half report"),
        (["{rows}", "--by", "llm", "--model", "nobody"], "nobody"),
        (["{rows}", "--json", "{rows}/no/out.json"], "cannot be written"),
    ],
)
def test_wrong_use_and_wrong_files_are_exit_code_2(rows: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    result = command(*(argument.format(rows=rows, folder=folder) for argument in arguments))
    assert result.returncode == 2
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def comparable(state: SurgeryState) -> dict[str, Any]:
    metadata = {k: v for k, v in state.state["metadata"].items() if k != "processing_time_ms"}
    return {"seq": state.seq, "t": state.t, "based_on": state.based_on, "state": {**state.state, "metadata": metadata}}


def test_the_states_that_are_scored_are_those_that_a_replay_publishes(settings: tuple[str, ...]) -> None:
    log = Log(EXAMPLE)
    published: list[SurgeryState] = []
    replay(log, speed=None, model="stub", settings=settings, on_state=published.append)
    room = open_room(configured("fused", None, ["inference.model=stub"]), True)
    [course] = room.run([[message for message in log.messages if isinstance(message, Input)]])
    assert [comparable(state) for state in course.states] == [comparable(state) for state in published]
