"""The model's process takes its cores and its niceness, or says which cores there are. In processes of their own."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline.check import findings
from pipeline.config import Config, InferenceSection
from pipeline.errors import ConfigError
from pipeline.neighbour import cores_of

HERE = sorted(os.sched_getaffinity(0))
MISSING = HERE[-1] + 1000

CHILD = """
import json, os, sys, threading
from pipeline.config import InferenceSection
from pipeline.errors import ConfigError
from pipeline.neighbour import settle

before = os.nice(0)
try:
    settle(InferenceSection(**json.loads(sys.argv[1])))
except ConfigError as error:
    print(json.dumps(str(error)))
    sys.exit()
threads = []
thread = threading.Thread(target=lambda: threads.append([sorted(os.sched_getaffinity(0)), os.nice(0) - before]))
thread.start()
thread.join()
print(json.dumps([[sorted(os.sched_getaffinity(0)), os.nice(0) - before], *threads]))
"""


def settled(**settings: Any) -> Any:
    """Cores and added niceness of a process that settled, and of a thread it made then; or what it was told."""
    run = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(settings)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_a_process_and_its_later_threads_have_the_cores_and_the_niceness() -> None:
    assert settled(affinity=HERE[:1], niceness=3) == [[HERE[:1], 3]] * 2


def test_without_an_affinity_a_process_stays_where_it_may_run() -> None:
    assert settled(affinity=[], niceness=0) == [[HERE, 0]] * 2


def test_cores_that_are_not_there_are_named_with_those_that_are() -> None:
    said = settled(affinity=[HERE[0], MISSING, MISSING + 1])
    assert said == (
        f"inference.affinity: there is no core {MISSING}, {MISSING + 1} for this process; "
        f"give some of {', '.join(map(str, HERE))}"
    )


def test_a_core_that_is_not_there_is_found_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=f"there is no core {MISSING}"):
        cores_of(InferenceSection(affinity=(MISSING,)))
    wrong = Config(inference=InferenceSection(affinity=(MISSING,)))
    [found] = [finding for finding in findings(wrong) if finding.what == "cores"]
    assert not found.ok
    [right] = [finding for finding in findings(Config()) if finding.what == "cores"]
    assert (right.ok, right.detail) == (True, ", ".join(map(str, HERE)))
