"""A real `run` process as systemd has it: a datagram socket that is told of it, and the unit file of the docs."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.config import ROOT, load_config

WAIT_S = 60.0
PING_S = 0.2  # a third of the watchdog's time
UNIT = ROOT / "docs" / "orstate.service"


class Systemd:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.heard: list[str] = []  # assignments, in their order

    def hear_until(self, found: Callable[[str], bool]) -> None:
        """Take what is told until an assignment is what is looked for."""
        self._socket.settimeout(WAIT_S)
        begin = len(self.heard)
        while not any(found(assignment) for assignment in self.heard[begin:]):
            self.heard += self._socket.recv(4096).decode().split("\n")

    def waiting(self) -> list[str]:
        """What has been told and not been taken."""
        self._socket.setblocking(False)
        taken: list[str] = []
        while True:
            try:
                taken += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return taken

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(run_folder: Path) -> Iterator[Systemd]:
    made = Systemd(run_folder / "notify")
    yield made
    made.close()


@pytest.fixture
def service(systemd: Systemd, run_folder: Path, settings: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """`run`, started as a unit of Type=notify is; it tells its events on standard output."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", "--events"]
    for setting in (*settings, f"run.directory={run_folder}/tmp/run", "supervision.status_s=0.1"):
        command += ["--set", setting]
    watchdog = {"NOTIFY_SOCKET": f"{run_folder}/notify", "WATCHDOG_USEC": str(round(3e6 * PING_S))}
    running = subprocess.Popen(command, env={**os.environ, **watchdog}, stdout=subprocess.PIPE)
    yield running
    running.kill()
    running.communicate()


def is_ping(assignment: str) -> bool:
    return assignment == "WATCHDOG=1"


def test_systemd_is_told_of_the_start_that_it_lives_that_it_hangs_and_of_the_end(
    systemd: Systemd, service: subprocess.Popen[bytes]
) -> None:
    systemd.hear_until(lambda assignment: assignment == "READY=1")
    assert any(a.startswith("STATUS=starting: the prompt process is starting") for a in systemd.heard)
    assert any(re.fullmatch("EXTEND_TIMEOUT_USEC=[1-9][0-9]*", a) for a in systemd.heard)
    assert "STOPPING=1" not in systemd.heard
    systemd.hear_until(lambda assignment: assignment == "STATUS=whole: model stub, sessions open: 0")
    systemd.hear_until(is_ping)

    service.send_signal(signal.SIGSTOP)
    os.waitpid(service.pid, os.WUNTRACED)
    systemd.waiting()
    time.sleep(4 * PING_S)
    assert systemd.waiting() == []
    service.send_signal(signal.SIGCONT)
    systemd.hear_until(is_ping)

    service.terminate()
    systemd.hear_until(lambda assignment: assignment == "STOPPING=1")
    assert service.wait(WAIT_S) == 0
    assert service.stdout is not None
    kinds = re.findall(rb'"event":"(\w+)"(?:,"stage":"(\w+)")?', service.stdout.read())
    ready_at = kinds.index((b"ready", b""))
    assert {(b"stage_ready", b"prompt"), (b"stage_ready", b"parse")} <= set(kinds[:ready_at])


def test_a_model_that_cannot_be_loaded_is_told_as_degraded(
    systemd: Systemd, run_folder: Path, settings: tuple[str, ...]
) -> None:
    (run_folder / "broken.gguf").write_bytes(b"GGUF, but nothing more")
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", f"{run_folder}/broken.gguf"]
    for setting in (*settings, f"run.directory={run_folder}/tmp/run", "supervision.status_s=0.1"):
        command += ["--set", setting]
    running = subprocess.Popen(
        command, env={**os.environ, "NOTIFY_SOCKET": f"{run_folder}/notify"}, stderr=subprocess.DEVNULL
    )
    try:
        systemd.hear_until(lambda a: a.startswith("STATUS=degraded: the model is unavailable: "))
        assert "broken.gguf" in systemd.heard[-1]
        assert not any(map(is_ping, systemd.heard))  # no watchdog was asked for
        running.terminate()
        assert running.wait(WAIT_S) == 0
    finally:
        running.kill()
        running.wait()


def test_the_unit_file_gives_settings_that_exist_and_systemd_finds_no_fault_in_it(run_folder: Path) -> None:
    text = UNIT.read_text().replace("\\\n", " ")
    command = next(line for line in text.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart=")
    words = shlex.split(command.replace("%t", "/run").replace("%S", "/var/lib").replace("%C", "/var/cache"))
    config = load_config(settings=[word for before, word in pairwise(words) if before == "--set"])
    assert (config.run.directory, config.run.journal) == ("/run/orstate/run", "/var/lib/orstate/journal")
    if (tool := shutil.which("systemd-analyze")) is None:
        return
    unit = run_folder / "orstate.service"
    unit.write_text(UNIT.read_text().replace("/opt/orstate/.venv/bin/python", sys.executable))
    told = subprocess.run([tool, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
