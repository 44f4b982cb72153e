"""The inference process runs as nice and on the cores that the configuration says, the other stages as they were."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from pipeline.client import Sidecar
from pipeline.config import ROOT
from pipeline.neighbour import FIRST_TO_GO

WAIT_S = 30.0
HERE = sorted(os.sched_getaffinity(0))
MISSING = HERE[-1] + 1000


def oom_score(process: psutil.Process) -> int:
    return int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())


def test_inference_runs_with_the_configured_niceness_and_affinity(settings: tuple[str, ...]) -> None:
    core = HERE[-1]
    wanted = (*settings, "inference.niceness=7", f"inference.affinity=[{core}]")
    with Sidecar(model="stub", settings=wanted) as sidecar:
        stages = sidecar.states("or1").wait_status(WAIT_S).stages
        inference, *others = (psutil.Process(stages[name].pid) for name in ("inference", "prompt", "parse"))
        assert inference.nice() == psutil.Process().nice() + 7
        assert inference.cpu_affinity() == [core]
        assert oom_score(inference) == FIRST_TO_GO
        for other in others:
            assert other.nice() == psutil.Process().nice()
            assert other.cpu_affinity() == HERE
            assert oom_score(other) == oom_score(psutil.Process()) < FIRST_TO_GO


def test_a_core_that_is_not_there_ends_a_run_at_once_with_the_ones_that_are(
    settings: tuple[str, ...], run_folder: Path
) -> None:
    wanted = (*settings, f"inference.affinity=[{MISSING}]", f"run.directory={run_folder / 'tmp' / 'run'}")
    result = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", *(f"--set={one}" for one in wanted)],
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert result.returncode != 0
    assert f"inference.affinity: there is no core {MISSING} for this process; give some of {HERE[0]}" in result.stderr
