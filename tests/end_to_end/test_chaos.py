"""The short form of the chaos suite: each fault once, in real processes."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos.suite import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_is_survived(name: str, run_folder: Path) -> None:
    trial = SCENARIOS[name].scenario(run_folder / "journal", Random(name))
    assert trial.survived, trial
