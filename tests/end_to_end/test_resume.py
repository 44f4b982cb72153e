"""A run that was cut off is gone on with from its journal."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from test_commands import EXAMPLE, command

from pipeline.client import Sidecar
from pipeline.codec import INPUT_TYPES
from pipeline.journal import JournalWriter, read_records
from pipeline.messages import SessionStart, SurgeryState, Transcript
from pipeline.verify import verify

WAIT_S = 30.0
INPUTS = {kind.__name__ for kind in INPUT_TYPES}


def line(seq: int, text: str) -> Transcript:
    return Transcript(session="or1", seq=seq, t=float(seq), text=text)


def state_of(sidecar_states: object, seq: int) -> SurgeryState:
    return next(state for state in sidecar_states if state.based_on == seq)  # type: ignore[attr-defined]


def test_a_run_whose_supervisor_was_killed_goes_on_where_it_was(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        sidecar.publish(line(2, "turn on the suction"))
        before = state_of(states, 2)
        journal = Path(sidecar.launch.wait_ready(1).journal)
        os.kill(sidecar.launch.pid, signal.SIGKILL)
        assert sidecar.finish() == -signal.SIGKILL
    again = Sidecar(model="stub", settings=settings, resume=journal)
    with again:
        states = again.states("or1", timeout_s=WAIT_S)
        again.publish(line(3, "camera on"))
        state = state_of(states, 3)
        assert Path(again.launch.wait_ready(1).journal) == journal
        assert again.finish() == 0
    assert {"M06", "M08"} <= set(state.state["machines"]["1"])
    assert state.seq > before.seq
    assert [finding.faults for finding in verify(journal)] == [()] * 4


def test_a_replay_that_is_resumed_sends_only_what_was_not_taken(run_folder: Path) -> None:
    def replayed(*more: str) -> list[dict[str, Any]]:
        result = command("replay", *more, "--model", "stub", "--states", "-")
        assert result.returncode == 0, result.stderr
        assert "40/40" in result.stderr or "40 sent, 40 accounted for" in result.stderr
        return [json.loads(text) for text in result.stdout.splitlines()]

    every = replayed(str(EXAMPLE), "--journal", str(run_folder / "journal"))
    (journal,) = (run_folder / "journal").iterdir()
    inputs = journal / "inputs-1.mcap"
    cut = list(read_records(inputs))[:30]
    inputs.unlink()
    writer = JournalWriter(inputs)
    for record in cut:  # as if the process had been killed then
        writer.write(record.topic, record.payload, record.message_ns / 1e9, record.sequence, wall_ns=record.wall_ns)
    writer.close()
    (journal / "outputs-1.mcap").unlink()
    taken = sum(record.topic in INPUTS for record in cut)
    assert 5 < taken < 40
    rest = replayed(str(EXAMPLE), "--resume", str(journal))
    last = {state["based_on"]: state["state"]["machines"] for state in every}
    assert {state["based_on"]: state["state"]["machines"] for state in rest} == last
    sent = [record.topic for record in read_records(journal / "inputs-2.mcap") if record.topic in INPUTS]
    assert len(sent) == 40 - taken


def test_what_cannot_be_resumed_is_said(run_folder: Path, settings: tuple[str, ...]) -> None:
    empty = run_folder / "journal"
    refused = command("run", "--model", "stub", "--resume", str(empty), "--set", f"run.directory={run_folder / 'r'}")
    assert refused.returncode == 1
    assert f"{empty}: no run to resume: it has no inputs-N.mcap" in refused.stderr
    missing = command("run", "--model", "stub", "--resume", str(run_folder / "nowhere"))
    assert missing.returncode == 2
    with Sidecar(model="stub", settings=settings) as sidecar:
        journal = sidecar.launch.wait_ready(1).journal
        busy = command("run", "--model", "stub", "--resume", journal, "--set", f"run.directory={run_folder / 'other'}")
        assert "a pipeline that runs writes this journal" in busy.stderr
        assert busy.returncode == 1
