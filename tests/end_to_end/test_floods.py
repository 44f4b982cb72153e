"""The floods of the chaos suite, a few seconds of each."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos import floods
from benchmarks.chaos.trial import Trial

SHORT: list[tuple[Callable[..., Trial], dict[str, float]]] = [
    (floods.too_fast, {"seconds": 2.0, "high_water_mark": 1000}),
    (floods.garbage, {"seconds": 2.0, "high_water_mark": 1000}),
    (floods.reading_stops, {"seconds": 3.0}),
    (floods.answers_unread, {"seconds": 3.0, "rate": 1000.0}),
    (floods.sessions_at_once, {"seconds": 4.0}),
]


@pytest.mark.parametrize(("scenario", "form"), SHORT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_flood_is_survived_within_bounds_and_what_is_dropped_is_counted(
    scenario: Callable[..., Trial], form: dict[str, float], run_folder: Path
) -> None:
    trial = scenario(run_folder, Random(7), **form)
    assert trial.survived, trial
