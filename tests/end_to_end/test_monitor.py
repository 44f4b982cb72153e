"""`monitor` beside a pipeline that runs, on a terminal and without one."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.client import Client, Sidecar
from pipeline.messages import Override, SessionEnd, SessionStart, Transcript

ROOT = Path(__file__).resolve().parents[2]
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])[0-9;]*m")


def monitor(requests: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "monitor", "--to", requests, *arguments],
        text=True, capture_output=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class Terminal:
    """The command on a terminal of its own, as somebody sees it who came by ssh."""

    def __init__(self, requests: str, **environment: str) -> None:
        ours, theirs = pty.openpty()
        self.shown = ""
        self._ours = ours
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run_pipeline.py"), "monitor", "--to", requests],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "60", **environment},
        )  # fmt: skip
        os.close(theirs)

    def until(self, pattern: str) -> None:
        """Read until it is shown."""
        while not re.search(pattern, self.shown):
            assert select.select([self._ours], [], [], 60.0)[0], f"never shown: {pattern}\n{self.shown[-3000:]}"
            self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.rest()

    def rest(self) -> int:
        """Read until the command has ended; its exit code."""
        try:
            while data := os.read(self._ours, 65536):
                self.shown += data.decode(errors="replace")
        except OSError:  # so a terminal ends on Linux
            pass
        os.close(self._ours)
        return self.process.wait(60)


def told(client: Client, seq: int, t: float, text: str) -> None:
    client.publish(Transcript(session="or1", seq=seq, t=t, speaker="Surgeon", text=text))


@pytest.fixture
def requests(run_folder: Path) -> str:
    return f"ipc://{run_folder}/requests"


def test_one_picture_has_what_was_before_and_who_set_what(settings: tuple[str, ...], requests: str) -> None:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}")) as sidecar:
        assert sidecar.wait_model()
        states = sidecar.states("or1")
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        told(sidecar.client, 2, 5.0, "Turn on the suction [/] and put the irrigation on standby.")
        sidecar.publish(Override(session="or1", seq=3, t=9.0, machine="M07", action="ON"))
        told(sidecar.client, 4, 69.0, "Thank you.")
        next(state for state in states if state.based_on == 4)
        while sidecar.status().degraded:
            pass
        for shown in (monitor(requests, "--once"), monitor(requests, "--session", "or1")):
            assert "\x1b[" not in shown
            assert re.search(r"pipeline +whole", shown)
            assert re.search(r"model +stub: ready", shown)
            assert re.search(r"M06 Suction Apparatus +● ON +rule +0:01:0\d", shown)
            assert re.search(r"M05 Irrigation Pump +◐ standby +rule +0:01:0\d", shown)
            assert re.search(r"M07 Lithotripter +● ON +override, held +0:01:0\d", shown)
            assert re.search(r"M01 Patient Monitor +● ON +default +│", shown)
            assert "phase  Phase1 Patient Preparation   next  Phase2 Anesthesia Induction" in shown
        assert "or1" not in monitor(requests, "--once", "--session", "or2")


def test_the_end_of_a_session_is_told_and_that_it_begins_again(settings: tuple[str, ...], requests: str) -> None:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}")) as sidecar:
        assert sidecar.wait_model()
        terminal = Terminal(requests)
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        sidecar.publish(SessionStart(session="or2", seq=1, t=0.0, surgery="Lobectomy"))
        terminal.until(r"or2\S* +Lobectomy")
        sidecar.publish(SessionEnd(session="or1", seq=2, t=300.0, reason="patient [/] left"))
        terminal.until(r"ENDED\S* at t = 300 s, \d\.\d s ago \(patient \[/\] left\): so it was left")
        shown = monitor(requests, "--once")
        assert shown.count("ENDED") == 1
        assert shown.index("or1") < shown.index("ENDED")
        terminal.shown = ""
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        told(sidecar.client, 2, 5.0, "Turn on the suction.")
        terminal.until(r"M06 Suction Apparatus +\S*● ON")
        assert "ENDED" not in monitor(requests, "--once")
        assert terminal.end() == 0


def test_a_terminal_follows_the_room_and_ctrl_c_ends_it(settings: tuple[str, ...], requests: str) -> None:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}", "run.journal=")) as sidecar:
        assert sidecar.wait_model()
        terminal = Terminal(requests)
        terminal.until(r"What was before is not shown, nor that a session ends: the pipeline keeps no journal")
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        terminal.until(r"M06 Suction Apparatus +\S*○ off")
        told(sidecar.client, 2, 5.0, "Turn on the suction.")
        terminal.until(r"M06 Suction Apparatus +\S*● ON")
        sidecar.publish(SessionStart(session="or9", seq=1, t=0.0, surgery="No such"))
        terminal.until(r"refused +unknown_surgery 1")
        assert COLOUR.search(terminal.shown)
        assert terminal.end() == 0
        assert "Traceback" not in terminal.shown


def test_the_end_of_the_pipeline_is_seen_and_no_colours_are_used_where_they_are_not_wanted(
    settings: tuple[str, ...], requests: str
) -> None:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}")) as sidecar:
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        terminal = Terminal(requests, NO_COLOR="1")
        terminal.until("M06 Suction Apparatus")
    assert terminal.rest() == 0
    assert re.search(r"pipeline +\S*has ended", terminal.shown)
    assert not COLOUR.search(terminal.shown)


def test_a_room_without_the_model_says_so_first(settings: tuple[str, ...], requests: str) -> None:
    with Sidecar(model="/nowhere/none.gguf", settings=(*settings, f"ingress.requests={requests}")) as sidecar:
        assert not sidecar.wait_model()
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        states = sidecar.states("or1")
        told(sidecar.client, 2, 5.0, "Turn on the suction.")
        next(states)
        while not sidecar.status().degraded.startswith("the model is unavailable"):
            pass
        shown = monitor(requests, "--once")
    assert re.search(r"pipeline +DEGRADED: the model is unavailable: .*/nowhere", shown)
    assert "DEGRADED model_unavailable: this is what the rules know" in shown
