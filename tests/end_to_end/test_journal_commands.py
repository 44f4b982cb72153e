"""The journal of a real run: `verify` finds it sound or not, `redact` takes out what was said, old ones go."""

import json
import os
import signal
from pathlib import Path

from test_commands import EXAMPLE, command

from pipeline import events
from pipeline.client import Sidecar
from pipeline.journal import read_records
from pipeline.messages import SessionStart, Transcript
from pipeline.verify import verify

WAIT_S = 30.0


def replayed(run_folder: Path) -> Path:
    """The journal of a replay of the example."""
    result = command("replay", str(EXAMPLE), "--model", "stub", "--journal", str(run_folder / "journal"))
    assert result.returncode == 0, result.stderr
    (journal,) = (run_folder / "journal").iterdir()
    return journal


def test_the_journal_of_a_run_is_verified_and_a_changed_byte_is_found(run_folder: Path) -> None:
    journal = replayed(run_folder)
    sound = command("verify", str(journal))
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert [line.split()[:2] for line in sound.stdout.splitlines()] == [
        ["ok", "inputs-1.mcap:"],
        ["ok", "outputs-1.mcap:"],
    ]
    file = journal / "inputs-1.mcap"
    whole = file.read_bytes()
    at = whole.index(b"suction")
    file.write_bytes(whole[:at] + b"S" + whole[at + 1 :])
    changed = command("verify", str(journal), "--json")
    assert changed.returncode == 1
    told = json.loads(changed.stdout)
    assert "not as it was written" in told[0]["faults"][0] or "damaged" in told[0]["faults"][0]
    assert told[1]["faults"] == []


def test_a_redacted_run_holds_nothing_that_was_said_and_replays(run_folder: Path) -> None:
    journal, out = replayed(run_folder), run_folder / "redacted"
    result = command("redact", str(journal), "-o", str(out))
    assert result.returncode == 0, result.stderr
    said = [json.loads(line).get("text", "") for line in EXAMPLE.read_text().splitlines()]
    left = b"".join(file.read_bytes() for file in out.iterdir()).lower()
    for words in filter(None, said):
        assert words.lower().encode() not in left
    again = command("replay", str(out), "--model", "stub", "--journal", str(run_folder / "again"))
    assert again.returncode == 0, again.stderr
    assert "accounted for" in again.stderr


def test_the_chain_goes_on_over_a_killed_process(settings: tuple[str, ...]) -> None:
    with Sidecar(model="stub", settings=settings) as sidecar:
        journal = Path(sidecar.launch.wait_ready(WAIT_S).journal)
        states = sidecar.states("or1", timeout_s=WAIT_S)
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        sidecar.publish(Transcript(session="or1", seq=2, t=1.0, text="suction on"))
        assert next(state for state in states if state.based_on == 2)
        prompt = states.wait_status(WAIT_S).stages["prompt"]
        os.kill(prompt.pid, signal.SIGKILL)
        while (now := states.wait_status(WAIT_S).stages["prompt"]).state != "ready" or now.restarts != 1:
            pass
    found = {finding.file: finding for finding in verify(journal)}
    assert not any(finding.faults for finding in found.values())
    assert (found["inputs-1.mcap"].closed, found["inputs-2.mcap"].closed) == (False, True)
    assert "Transcript" in {record.topic for record in read_records(journal / "inputs-1.mcap")}


def test_a_run_removes_journals_beyond_the_limit_and_says_so(run_folder: Path, settings: tuple[str, ...]) -> None:
    old = run_folder / "journal" / "20200101T080000.000Z"
    old.mkdir()
    (old / "inputs-1.mcap").write_bytes(b"x")
    os.utime(old / "inputs-1.mcap", (1.6e9, 1.6e9))
    with Sidecar(model="stub", settings=(*settings, "run.keep_days=30")) as sidecar:
        sidecar.finish()
        told = [event for event in sidecar.launch.events if isinstance(event, events.JournalsRemoved)]
        journal = Path(sidecar.launch.wait_ready(WAIT_S).journal)
    assert [event.folders for event in told] == [(str(old),)]
    assert not old.exists()
    assert journal.exists()
