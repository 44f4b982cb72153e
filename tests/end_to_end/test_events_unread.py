"""A launcher that does not read the events, or no longer: the pipeline works on, and ends as it should."""

import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from pipeline.client import Client
from pipeline.config import ROOT
from pipeline.messages import SessionStart
from pipeline.sockets import Socket

WAIT_S = 60.0


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_events_that_nobody_reads_stop_nothing(closed: bool, settings: tuple[str, ...], run_folder: Path) -> None:
    requests = f"ipc://{run_folder}/requests"
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", "--events", "--with-launcher"]
    for setting in (*settings, f"run.directory={run_folder}/tmp/run", f"ingress.requests={requests}",
                    f"ingress.bind=ipc://{run_folder}/ingress", "supervision.status_s=0.05"):  # fmt: skip
        command += ["--set", setting]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdin is not None
    while b'"event":"ready"' not in running.stdout.readline():
        pass
    if closed:
        running.stdout.close()
    context = zmq.Context[Socket]()
    strange = context.socket(zmq.XPUB)
    strange.connect(f"ipc://{run_folder}/ingress")
    strange.recv()
    try:
        with Client(requests) as client:
            states = client.states("or1", timeout_s=WAIT_S)
            while "event" not in states.wait_status(WAIT_S).all_dropped:
                for _ in range(20):
                    strange.send(b"\xc1" * 3000)
            client.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
            assert next(states).based_on == 1
        running.stdin.close()
        assert running.wait(WAIT_S) == 0
    finally:
        context.destroy(linger=0)
        running.kill()
        running.wait()
        running.stdout.close()
