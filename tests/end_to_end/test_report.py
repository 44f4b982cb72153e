"""`report` and `export` of what a real run journalled."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema_rs
import pytest
from mcap.reader import make_reader

from pipeline.client import Sidecar
from pipeline.messages import Override, SessionStart, Transcript

ROOT = Path(__file__).resolve().parents[2]
SESSION = ROOT / "examples" / "understanding" / "sessions" / "pcnl_lower_pole"
HOSTILE = '<script>alert(1)</script><a href="http://x.example/">turn on the suction</a>'


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), *arguments],
        text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def journal(settings: tuple[str, ...], run_folder: Path) -> Path:
    """Two sessions: one with words that would be markup, one with a human's hand."""
    with Sidecar(model="stub", settings=settings) as sidecar:
        assert sidecar.wait_model()
        states = sidecar.states()
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        sidecar.publish(Transcript(session="or1", seq=2, t=5.0, speaker="Surgeon", text=HOSTILE))
        next(state for state in states if state.based_on == 2)
        sidecar.publish(SessionStart(session="or2", seq=1, t=0.0, surgery="Lobectomy"))
        sidecar.publish(Override(session="or2", seq=2, t=5.0, machine="M01", action="OFF", operator="<i>me</i>"))
        next(state for state in states if (state.session, state.based_on) == ("or2", 2))
    return next((run_folder / "journal").iterdir())


def test_a_page_of_a_run_has_no_markup_but_ours(journal: Path, run_folder: Path) -> None:
    out = run_folder / "case.html"
    done = command("report", str(journal), "-o", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{out}: 2 sessions\n")
    assert out.stat().st_mode & 0o777 == 0o600
    found: list[tuple[str, str]] = []
    scripts: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: (  # type: ignore[method-assign]
        found.extend((name, value or "") for name, value in attrs),
        scripts.append(tag) if tag == "script" else None,
    )
    parser.feed(out.read_text())
    assert len(scripts) == 1
    assert all(value.startswith("#") for name, value in found if name in ("href", "src"))
    assert "http://x.example/" in out.read_text()  # as text
    assert "<mark>turn on the suction</mark>" in out.read_text()
    again = command("report", str(journal), "-o", str(out))
    assert (again.returncode, again.stderr) == (
        1,
        f"orstate: {out}: cannot be written: File exists; give another name\n",
    )


def test_its_counts_are_json_for_programs_and_of_one_session_if_that_is_asked_for(journal: Path) -> None:
    done = command("report", str(journal), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    moved = {one["session"]: one["moved"]["machines"] for one in told["sessions"]}
    assert moved == {"or1": 1, "or2": 1}
    assert told["inputs"] == {"SessionStart": 2, "Transcript": 1, "Override": 1}
    (one,) = json.loads(command("report", str(journal), "--session", "or2", "--json").stdout)["sessions"]
    assert (one["session"], one["surgery"]) == ("or2", "Lobectomy")


def test_with_the_truth_it_says_what_the_evaluation_says(run_folder: Path) -> None:
    truth, out = f"{SESSION}.truth.json", run_folder / "case.html"
    replayed = command("replay", f"{SESSION}.jsonl", "--model", "stub", "--journal", str(run_folder / "journal"))
    assert replayed.returncode == 0, replayed.stderr
    journal = next((run_folder / "journal").iterdir())
    done = command("report", str(journal), "--truth", truth, "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    (session,) = json.loads(done.stdout)["sessions"]
    evaluated = json.loads(command("eval", str(SESSION.parent), "--json").stdout)
    same = evaluated["sessions"][SESSION.name]
    for figure in ("toggle_f1", "machine_time"):
        assert session["truth"]["figures"][figure] == pytest.approx(same[figure])
    assert "✓ right" in out.read_text()


def test_wrong_use_is_told_in_a_line(journal: Path) -> None:
    truth = ("--truth", f"{SESSION}.truth.json")
    for arguments, code, told in (
        ((), 2, "give -o FILE.html, or --json"),
        (("--json", "--session", "or9"), 1, "no session 'or9' in it; there are or1, or2"),
        (("--json", *truth), 1, "name it with --session (there are or1, or2)"),
        (("--json", "--session", "or2", *truth), 2, "session or2 is a Lobectomy"),
        (("--json", "--session", "or1", "--truth", "/nowhere.json"), 2, "path '/nowhere.json' does not exist"),
    ):
        done = command("report", str(journal), *arguments)
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr


def test_an_export_of_a_run_for_foxglove_keeps_the_schemas_that_it_names(journal: Path, run_folder: Path) -> None:
    out = run_folder / "case.mcap"
    assert command("export", str(journal), "--to", "foxglove", "-o", str(out)).returncode == 0
    kinds = set()
    with out.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            jsonschema_rs.validator_for(json.loads(schema.data)).validate(json.loads(message.data))
            kinds.add(channel.topic)
    assert {"SessionStart", "Transcript", "Override", "PromptJob", "Completion", "SurgeryState"} <= kinds
