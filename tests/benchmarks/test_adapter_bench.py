"""What an adapter costs is measured of a model that has one, with the questions that each side would be asked."""

import msgspec
import pytest

from benchmarks.adapter import _questions, _ratio, main
from models.manifest import find_manifest
from pipeline.errors import ConfigError


def test_a_model_without_an_adapter_is_refused_and_those_with_one_are_named() -> None:
    with pytest.raises(ConfigError, match="gemma-3-270m: has no adapter; give one of gemma-3-270m-taught"):
        main("gemma-3-270m", 1, None)


def test_each_side_is_asked_with_the_examples_and_lines_of_its_manifest() -> None:
    taught = msgspec.structs.replace(find_manifest("gemma-3-270m-taught"), window_lines=8)
    short, long = (_questions(manifest, 12) for manifest in (taught, find_manifest("gemma-3-270m")))
    assert max(question.job.prompt.transcript.count("\n") for question in short) == 8
    assert max(question.job.prompt.transcript.count("\n") for question in long) > 12
    assert "Transcript:\n[" not in short[0].job.prompt.shared
    assert "Transcript:\n[" in long[0].job.prompt.shared


def test_neighbours_are_compared_with_each_other() -> None:
    assert _ratio([2.0, 30.0, 6.0], [1.0, 10.0, 2.0]) == 3.0
