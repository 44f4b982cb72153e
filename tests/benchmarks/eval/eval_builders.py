"""Files and states for the tests of the evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.eval.utterances import Utterance, read_utterances
from pipeline.config import ROOT
from pipeline.messages import SurgeryState
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(ROOT / "configs" / "machines")


def write_rows(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_session(folder: Path, name: str, lines: list[Mapping[str, Any]], truth: Mapping[str, Any]) -> None:
    write_rows(folder / f"{name}.jsonl", *lines)
    (folder / f"{name}.truth.json").write_text(json.dumps(truth))


def utterance(path: Path, **fields: Any) -> Utterance:
    [row] = read_utterances(write_rows(path, {"surgery": "PCNL", "text": "x", **fields}), SURGERIES, None)
    return row


def state(t: float, on: str, phase: str = "Phase1", seq: int = 0) -> SurgeryState:
    """A published state with those machines on, given as "M01 M02"."""
    contract = {"machines": {"0": [], "1": on.split()}, "metadata": {"phase": phase}, "details": {"toggles": []}}
    return SurgeryState(session="s", seq=seq, t=t, based_on=seq, outcome="ok", degraded=False, state=contract)
