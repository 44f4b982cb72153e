"""What a pipeline lives on runs out, with real processes: what docs/reliability.md promises of it. Each scenario of the
chaos suite once; those of a model's file with a small random model.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos import resources
from benchmarks.chaos.confined import can_limit_memory, can_mount
from benchmarks.chaos.trial import Scenario, Trial

needs_mounts = pytest.mark.skipif(not can_mount(), reason="this system lets nobody have mounts of his own")
needs_groups = pytest.mark.skipif(not can_limit_memory(), reason="this system lets us make no control group")


def rng(name: str) -> Random:
    """The same for each run of the test."""
    return Random(zlib.crc32(name.encode()))


@pytest.mark.parametrize(
    "scenario",
    [
        resources.no_room_for_the_journal,
        resources.no_room_for_the_journal_for_long,
        pytest.param(resources.full_disk, marks=needs_mounts),
        pytest.param(resources.too_little_shared_memory, marks=needs_mounts),
        pytest.param(resources.full_shared_memory, marks=needs_mounts),
        pytest.param(resources.out_of_memory, marks=needs_groups),
    ],
)
def test_what_runs_out_is_told_and_survived(scenario: Scenario, run_folder: Path) -> None:
    trial = scenario(run_folder, rng(scenario.__name__))
    assert trial.survived, trial


@pytest.mark.parametrize(
    ("scenario", "damage"),
    [
        (resources.damaged_at_the_start, resources.truncate),
        (resources.damaged_at_the_start, resources.scribble),
        (resources.damaged_at_the_start, resources.remove),
        (resources.damaged_in_use, resources.truncate),
        (resources.damaged_in_use, resources.scribble),
    ],
)
def test_a_damaged_model_file_is_told_and_the_model_comes_back_with_the_good_one(
    scenario: Callable[..., Trial], damage: Callable[[Path, Random], None], run_folder: Path, tiny_gemma: Path
) -> None:
    trial = scenario(run_folder, rng(damage.__name__), tiny_gemma, damage)
    assert trial.survived, trial


def test_a_model_whose_file_is_replaced_goes_on_with_what_it_has(run_folder: Path, tiny_gemma: Path) -> None:
    trial = resources.replaced_in_use(run_folder, rng("replaced"), tiny_gemma)
    assert trial.survived, trial
