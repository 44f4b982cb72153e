"""`publish` and `subscribe` beside a pipeline that runs, as a person uses them."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.aio import AsyncClient
from pipeline.client import Client, Sidecar
from pipeline.control import STAGES
from pipeline.messages import DROPS

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), *arguments],
        input=typed, text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def endpoint(settings: tuple[str, ...], run_folder: Path) -> Iterator[str]:
    requests = f"ipc://{run_folder}/requests"
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}")):
        yield requests


def test_typed_sentences_move_the_state_and_a_bad_line_is_told(endpoint: str) -> None:
    typed = 'Surgeon: turn on the suction\n{"text": 3}\n{"t": 9, "text": "camera on"}\n'
    result = command("publish", "-", "--surgery", "PCNL", "--to", endpoint, typed=typed)
    assert result.returncode == 0, result.stderr
    assert "demo  on  M06" in result.stdout
    assert "line 2 is not sent: Expected `str`, got `int`" in result.stderr
    assert "\x1b[" not in result.stdout


def test_a_log_is_published_and_a_subscriber_of_its_session_gets_json_lines(endpoint: str, run_folder: Path) -> None:
    log = run_folder / "case.jsonl"
    log.write_text('{"surgery": "PCNL", "session": "or7"}\n{"t": 2, "text": "Suction on."}\n{"t": 6, "text": "OK."}\n')
    watching = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), "subscribe", "--session", "or7", "--json", "--to", endpoint],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert watching.stderr.readline() == "subscribed; Ctrl-C ends it\n"
    assert command("publish", "-", "--surgery", "PCNL", "--to", endpoint, typed="camera on\n").returncode == 0
    assert command("publish", str(log), "--speed", "1000", "--to", endpoint).returncode == 0
    for line in watching.stdout:
        state = json.loads(line)
        assert state["session"] == "or7"
        if "M06" in state["state"]["machines"]["1"]:
            break
    watching.terminate()
    watching.communicate(timeout=30)
    assert watching.returncode == 0


def test_the_status_is_told_to_a_person_and_to_a_program(endpoint: str) -> None:
    assert command("publish", "-", "--surgery", "PCNL", "--to", endpoint, typed="camera on\n").returncode == 0
    with Client(endpoint) as client:
        states = client.states()
        while states.wait_status(30.0).inputs < 3:
            pass
    told = command("status", "--json", "--to", endpoint)
    assert told.returncode == 0, told.stderr
    status = json.loads(told.stdout)
    assert (status["model_state"], status["degraded"], status["inputs"]) == ("ready", "", 3)
    assert {name: stage["state"] for name, stage in status["stages"].items()} == dict.fromkeys(STAGES, "ready")
    assert (sum(status["outcomes"].values()) >= 3, status["last_state_age_s"] < 60.0) == (True, True)
    assert status["journal_bytes"] == sum(file.stat().st_size for file in Path(status["journal"]).iterdir())
    counters = [name for stage in status["stages"].values() for name in stage["counters"]]
    assert {name.removeprefix("dropped.") for name in counters if name.startswith("dropped.")} <= set(DROPS)
    shown = command("status", "--to", endpoint)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"state +whole", shown.stdout)
    assert re.search(r"inputs +3", shown.stdout)


def test_a_client_asks_for_the_status_and_asks_again(endpoint: str) -> None:
    async def uptimes() -> list[float]:
        async with AsyncClient(endpoint) as client:
            return [(await client.status()).uptime_s for _ in range(2)]

    with Client(endpoint) as client:
        told = [client.status().uptime_s for _ in range(2)] + asyncio.run(uptimes())
    assert told == sorted(told)
    assert told[0] > 0.0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["publish", "-"], 2, "give --surgery"),
        (["publish", "/nowhere.jsonl"], 2, "/nowhere.jsonl: there is no such log"),
        (["subscribe", "--to", "ipc:///nowhere/requests"], 1, "the folder /nowhere does not exist"),
        (["status", "--to", "ipc:///nowhere/requests"], 1, "the folder /nowhere does not exist"),
        (["subscribe", "--to", "here"], 2, "'here': it names no transport"),
    ],
)
def test_wrong_use_is_one_clear_line(run_folder: Path, arguments: list[str], code: int, told: str) -> None:
    result = command(*arguments)
    assert result.returncode == code, result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr
