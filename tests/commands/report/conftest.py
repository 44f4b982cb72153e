"""A journal made by hand: what one process and the other would have written of one short case."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.codec import encode, encode_json, type_name
from pipeline.config import ROOT
from pipeline.journal import JournalWriter
from pipeline.messages import (
    Completion,
    DeadLetter,
    Input,
    Message,
    Override,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    SurgeryState,
    Transcript,
)
from stages.surgery import Surgery, load_surgeries

IDS = tuple(f"M0{number}" for number in range(1, 10))
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)"> & suction on \'"'
HOSTILE_NAME = "<img src=x onerror=alert(3)>"


@pytest.fixture
def surgeries() -> dict[str, Surgery]:
    return load_surgeries(ROOT / "configs" / "machines")


def state(seq: int, t: float, based_on: int, *on: str, **changed: Any) -> SurgeryState:
    """A published state. `changed`: outcome, phase, source, toggles, standby, set_by, total (ms)."""
    contract = {
        "metadata": {"phase": changed.get("phase", "Phase1")},
        "machines": {"0": [machine for machine in IDS if machine not in on], "1": list(on)},
        "details": {
            "toggles": changed.get("toggles", []),
            "standby": changed.get("standby", []),
            "set_by": dict.fromkeys(IDS, "default") | changed.get("set_by", {}),
        },
        "source": changed.get("source", "rule"),
    }
    outcome = changed.get("outcome", "ok")
    timings = {"total": changed["total"]} if "total" in changed else {}
    return SurgeryState(
        session="or1", seq=seq, t=t, based_on=based_on, outcome=outcome, degraded=outcome != "ok", state=contract,
        timings=timings,
    )  # fmt: skip


def heard(machine: str, action: str, words: str) -> dict[str, Any]:
    return {"machine_id": machine, "name": machine, "action": action, "words": words, "rule": "particle verb"}


def completion(seq: int, t: float, text: str, **changed: Any) -> Completion:
    """The model's answer to the question that was asked at an input."""
    rules = RuleOutcome(
        session="or1", epoch=0, number=seq, seq=seq, t=t, surgery="PCNL", started_at=0.0,
        machines=dict.fromkeys(IDS, "OFF"), set_by={}, phase="Phase1", next_phase="Phase2", model="ready",
    )  # fmt: skip
    fields = {"outcome": "ok", "text": text, **changed}
    return Completion(job_id=f"s/or1/0/{seq}", kind="session", rules=rules, **fields)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes messages, in order, to a run's folder: an int begins the file of that number of the prompt process."""

    def written(*messages: Message | int) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        with ExitStack() as files:

            def begin(part: str, number: int) -> JournalWriter:
                writer = JournalWriter(folder / f"{part}-{number}.mcap")
                files.callback(writer.close)
                return writer

            inputs, outputs = begin("inputs", 1), begin("outputs", 1)
            for message in messages:
                if isinstance(message, int):
                    inputs = begin("inputs", message)
                elif isinstance(message, SurgeryState):
                    outputs.write(type_name(message), encode_json(message), message.t)
                else:
                    writer = outputs if isinstance(message, Completion) else inputs
                    t = message.t if isinstance(message, Input) else 0.0
                    writer.write(type_name(message), encode(message), t)
        return folder

    return written


@pytest.fixture
def journal(write: Callable[..., Path]) -> Path:
    """Suction on, a phase by the model, an outage, a restart of prompt, an override, a standby, and the end."""
    lights = ("M01", "M09")
    toggles = [heard("M06", "ON", "turn on the suction")]
    by_rule, by_hand = {"M06": "rule"}, {"M06": "rule", "M07": "override"}
    by_model = {"phase": "Phase3", "source": "rule+m", "total": 900.0}
    answer = '{"on":["M05"],"off":[],"phase":"Phase3","next":"Phase4","why":"<b>because</b>","tips":["<i>tip</i>"]}'
    return write(
        SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"),
        state(1, 0.0, 1, *lights, total=1.0),
        Transcript(session="or1", seq=2, t=10.0, text="Now: turn on the suction!", speaker="Surgeon"),
        state(2, 10.0, 2, *lights, "M06", toggles=toggles, set_by=by_rule, total=2.0),
        completion(2, 10.0, answer),
        state(3, 10.0, 2, *lights, "M06", toggles=toggles, set_by=by_rule, **by_model),
        Transcript(session="or1", seq=3, t=40.0, text=HOSTILE, speaker=HOSTILE_NAME),
        state(4, 40.0, 3, *lights, "M06", set_by=by_rule, phase="Phase3", outcome="stage_crashed"),
        completion(3, 40.0, HOSTILE, outcome="stage_crashed", error=HOSTILE),
        2,
        DeadLetter(reason=HOSTILE, error=HOSTILE, source="ingress"),
        Override(session="or1", seq=4, t=60.0, machine="M07", action="ON", reason=HOSTILE, operator=HOSTILE_NAME),
        state(5, 60.0, 4, *lights, "M06", "M07", set_by=by_hand, phase="Phase3"),
        Transcript(session="or1", seq=5, t=80.0, text="Suction on standby.", speaker="Surgeon"),
        state(6, 80.0, 5, *lights, "M07", standby=["M06"], set_by=by_hand, phase="Phase3"),
        SessionEnd(session="or1", seq=6, t=100.0),
        state(7, 100.0, 6, *lights, "M07", standby=["M06"], set_by=by_hand, phase="Phase3"),
    )  # fmt: skip
