"""Every input of the corpus: small real ones of each kind, and all that ever found a fault."""

from pathlib import Path

import pytest

from benchmarks.fuzz.main import CORPUS
from benchmarks.fuzz.targets import TARGETS

FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_finds_a_fault(name: str, tmp_path: Path) -> None:
    check = TARGETS[name].make(tmp_path)
    for path in FILES:
        if path.parent.name == name:
            try:
                check(path.read_bytes())
            except Exception as error:
                raise AssertionError(f"{path}: {error!r}") from error
