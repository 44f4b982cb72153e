"""The short form of the chaos suite: each process killed and stopped once, and messages in disorder."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos.disorder import DISORDER
from benchmarks.chaos.kills import KILLS

SCENARIOS = KILLS | DISORDER


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_is_survived(name: str, run_folder: Path) -> None:
    trial = SCENARIOS[name](run_folder / "journal", Random(name))
    assert trial.survived, trial
