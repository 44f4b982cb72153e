"""Words that crash the model's native code or hang it, with real processes: what is promised of them in
docs/reliability.md. Each scenario of the chaos suite once, and what is told of a crash.
"""

import os
import subprocess
import sys
import zlib
from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos.crashes import SCENARIOS
from benchmarks.chaos.faulty import PROGRAM
from benchmarks.chaos.instance import Instance
from benchmarks.chaos.trial import Scenario
from pipeline import events
from pipeline.config import ROOT
from pipeline.messages import LLMRequest


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=[name.replace(" ", "-") for name in SCENARIOS])
def test_what_crashes_the_model_is_survived(scenario: Scenario, run_folder: Path) -> None:
    trial = scenario(run_folder, Random(zlib.crc32(scenario.__name__.encode())))
    assert trial.survived, trial


def test_a_crash_is_told_with_its_signal_its_jobs_and_how_it_ended(run_folder: Path) -> None:
    with Instance(run_folder, program=PROGRAM) as it:
        it.launch.wait_model(60)
        it.asker.ask([LLMRequest(request_id="q1", surgery="PCNL", transcript_context="suction on. fault segv")])
        [answer] = it.asker.wait()["q1"]
        assert (answer.outcome, answer.success, answer.degraded) == ("stage_crashed", False, True)
        assert answer.error == "the inference process died twice while it worked on r/1/q1"
        assert answer.output is not None
        assert "M06" in answer.output["machines"]["1"]
        status = it.until_status(lambda status: "dead_letter.crashed_twice" in status.stages["prompt"].counters)
        assert status.stages["prompt"].counters["dead_letter.crashed_twice"] == 1.0
        it.asker.ask([LLMRequest(request_id="q2", surgery="PCNL", transcript_context="suction on. fault segv")])
        [refused] = it.asker.wait()["q2"]
        assert (refused.outcome, "under another id" in refused.error) == ("stage_crashed", True)
        assert it.finish() == 0
        assert [(death.how, death.at_work) for death in it.deaths()] == [("killed by SIGSEGV", ("r/1/q1",))] * 2
        [letter] = [event for event in it.launch.events if isinstance(event, events.DeadLettered)]
        assert (letter.reason, letter.error) == ("crashed_twice", answer.error)


def test_the_pipeline_itself_has_no_faulty_model(settings: tuple[str, ...]) -> None:
    options = [f"--set={one}" for one in settings]
    for name in ("faulty", "benchmarks.chaos.faulty"):
        result = subprocess.run(
            [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", name, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "300"},
        )
        assert result.returncode == 2
        assert f"model {name!r} is not known" in result.stderr
