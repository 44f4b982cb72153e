"""What programs read: with --json standard output is JSON and nothing else, and bars are for terminals only."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zmq
from test_commands import EXAMPLE, command

from pipeline.journal import open_next
from pipeline.messages import SessionStart
from pipeline.wire_format import frames_of

ROOT = Path(__file__).resolve().parents[2]


def told(*arguments: str, code: int = 0) -> Any:
    """The one JSON value on standard output, and nothing that would move a cursor on standard error."""
    done = command(*arguments)
    assert done.returncode == code, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of two records."""
    with_journal = tmp_path / "run"
    with_journal.mkdir()
    writer = open_next(with_journal, "inputs")
    for seq in (1, 2):
        start = SessionStart(session=f"or{seq}", seq=1, t=0.0, surgery="PCNL")
        writer.write("SessionStart", frames_of(start)[-1], 0.0, 1)
    writer.close()
    return with_journal


def test_a_replay_tells_its_summary(run_folder: Path) -> None:
    keep = ("--journal", str(run_folder / "journal"))
    summary = told("replay", str(EXAMPLE), "--model", "stub", *keep, "--json")
    assert summary["inputs"] == summary["accounted"] == 40
    assert summary["states"] == sum(summary["outcomes"].values())
    assert (summary["model"], summary["failure"], summary["faults"]) == ("stub", "", [])
    assert told("verify", summary["journal"], "--json")[0]["file"] == "inputs-1.mcap"
    counts = told("report", summary["journal"], "--json")
    assert counts["sessions"]
    both = command("replay", str(EXAMPLE), "--states", "-", "--json")
    assert both.returncode == 2
    assert both.stderr == "orstate: --json and --states - both want standard output; give --states a file\n"


def test_what_is_written_of_a_journal_is_counted(journal: Path, tmp_path: Path) -> None:
    out = {name: str(tmp_path / name) for name in ("case.csv", "redacted")}
    assert told("export", str(journal), "--to", "csv", "-o", out["case.csv"], "--json") == {
        "file": out["case.csv"],
        "records": 2,
    }
    assert told("redact", str(journal), "-o", out["redacted"], "--json") == {"folder": out["redacted"], "records": 2}
    (finding,) = told("verify", out["redacted"], "--json")
    assert (finding["records"], finding["faults"]) == (2, [])


def test_a_recording_tells_how_many_messages_it_has(run_folder: Path) -> None:
    endpoint, out = f"ipc://{run_folder}/pub", run_folder / "case.mcap"
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind(endpoint)
        recorder = subprocess.Popen(
            [*(sys.executable, str(ROOT / "run_pipeline.py"), "record", str(out)), "--connect", endpoint, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert publisher.recv() == b"\x01"
        publisher.send_multipart(frames_of(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL")))
        while not out.exists() or b"or1" not in out.read_bytes():
            pass
        recorder.send_signal(signal.SIGINT)
        result, said = recorder.communicate(timeout=60)
    assert json.loads(result) == {"file": str(out), "messages": 1}
    assert said == f"recording {endpoint}; Ctrl-C ends it\n"


def test_keys_that_were_made_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = told("keys", "generate", str(folder), "--client", "desk", "--json")
    assert made == {"made": [str(folder), str(folder / "given" / "desk")], "clients": str(folder / "clients")}


def test_models_tell_where_they_lie_and_how_they_are(
    tiny_llama: Path, tiny_gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command_ in ("path", "fetch"):
        assert told("models", command_, str(tiny_llama), "--json") == {"name": "tiny-llama", "path": str(tiny_llama)}
    (sound,) = told("models", "verify", str(tiny_llama), "--json")
    assert (sound["name"], sound["here"], sound["ok"]) == ("tiny-llama", True, True)
    monkeypatch.setenv("ORSTATE_MODELS", str(tmp_path))
    assert {(one["here"], one["ok"]) for one in told("models", "verify", "--json") if one["name"] != "stub"} == {
        (False, False)
    }
    (missing,) = told("models", "verify", "medgemma-4b-it-q3_k_m", "--json", code=1)
    assert (missing["here"], missing["ok"]) == (False, False)
    trimmed = told("models", "trim", str(tiny_gemma), "--json")
    assert trimmed["path"] == str(tiny_gemma.with_name("tiny-gemma-ascii.gguf"))
    assert 256 < trimmed["kept"] <= trimmed["tokens"]
    warmed = told(
        *("models", "warm", "--model", str(tiny_llama), "--json", "--set", f"inference.prefix_cache={str(tmp_path)!r}"),
        *("--set", "inference.context=16384", "--set", "prompt.examples=few"),
    )
    assert warmed["surgeries"] == ["Lobectomy", "Partial Hepatectomy", "PCNL"]
    assert len(list(tmp_path.glob("*.prefix"))) == 3


def test_figures_of_a_benchmark_are_json_and_the_table_is_for_people(tmp_path: Path) -> None:
    done = command("bench", "rules", "--rounds", "1", "--json", "-")
    figures = json.loads(done.stdout)
    assert figures["benchmark"] == "rules"
    assert f"utterances_per_s {figures['ratios']['utterances_per_s']:20.3f}" in done.stderr


@pytest.mark.parametrize("colours", [True, False])
def test_a_bar_is_for_a_terminal_that_wants_it(journal: Path, tmp_path: Path, colours: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    out = str(tmp_path / "case.csv")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), "export", str(journal), "--to", "csv", "-o", out, "--json"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment | ({} if colours else {"NO_COLOR": "1"}),
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    try:
        while data := os.read(ours, 65536):
            shown += data.decode()
    except OSError:  # so a terminal ends on Linux
        os.close(ours)
    result, _ = process.communicate(timeout=60)
    assert json.loads(result) == {"file": out, "records": 2}
    assert ("\x1b[" in shown) == colours
    assert bool(re.search(r"exporting .*%", shown)) == colours


def test_help_has_no_escape_codes_where_colours_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were a terminal
    assert "\x1b[" in command("export", "--help").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in command("export", "--help").stdout
