"""The short form of `make fuzz`: some structured inputs for each target, always the same ones."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.fuzz.targets import TARGETS

EXAMPLES = 250


@pytest.mark.parametrize("name", TARGETS)
def test_structured_inputs_find_no_fault(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    check = target.make(tmp_path)
    given_to: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.structured)
    def try_one(data: bytes) -> None:
        given_to.append(len(data))
        check(data)

    try_one()
    assert len(given_to) >= EXAMPLES
    assert max(given_to) > 0
