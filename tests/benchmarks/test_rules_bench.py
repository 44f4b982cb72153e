import json
from pathlib import Path

import pytest

from benchmarks import rules
from benchmarks.rules import utterances
from pipeline.config import ROOT
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(ROOT / "configs" / "machines")


def test_all_lines_of_sessions_and_of_the_development_set_are_read_in_their_surgery(tmp_path: Path) -> None:
    sessions = tmp_path / "understanding" / "sessions"
    sessions.mkdir(parents=True)
    line = {"t": 1.0, "text": "suction on"}
    (tmp_path / "case.jsonl").write_text(json.dumps({"surgery": "PCNL"}) + "\n" + json.dumps(line))
    row = {"surgery": "Lobectomy", "text": "lights off", "prior": ["lights on"]}
    (tmp_path / "understanding" / "rows.jsonl").write_text(json.dumps(row))
    (sessions / "a.jsonl").write_text(json.dumps({**line, "text": "argon off"}))
    truth = {"surgery": "Partial Hepatectomy", "initial_on": [], "machines": [], "phases": []}
    (sessions / "a.truth.json").write_text(json.dumps(truth))
    assert list(utterances(tmp_path, SURGERIES)) == [
        ("PCNL", "suction on"),
        ("Lobectomy", "lights on"),
        ("Lobectomy", "lights off"),
        ("Partial Hepatectomy", "argon off"),
    ]


def test_the_figures_are_written_as_the_other_benchmarks_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "ROUND_READS", 10)
    rules.main(3, tmp_path / "rules.json")
    told = json.loads((tmp_path / "rules.json").read_bytes())
    assert set(told["ratios"]) == {"utterances_per_s", "first_pass_per_s"}
    assert told["ratios"]["utterances_per_s"] > 0
    assert len(told["runs"]["seconds"]) == 3
    assert told["machine"]["cores"] >= 1
