"""Each variation is the shipped training but for one thing."""

import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from benchmarks.ablations import FEW, VARIATIONS, main, settings_of
from models.training.teaching import read_lessons
from pipeline.errors import ConfigError, OrstateError

CHANGED = {
    "shipped": set(),
    "rank-4": {"rank", "alpha"},
    "rank-8": {"rank", "alpha"},
    "none-invented": {"share_invented"},
    "all-invented": {"share_invented"},
    "all-words": {"share_words"},
    "few-lessons": {"own", "share_own", "written", "share_written"},
    "none-written": {"written", "share_written"},
}


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_differs_in_one_thing(name: str, tmp_path: Path) -> None:
    shipped, other = (msgspec.to_builtins(settings_of(each, 50, tmp_path)) for each in ("shipped", name))
    parts = [part for part in shipped if isinstance(shipped[part], dict)]
    changed = {key for part in parts for key in shipped[part] if shipped[part][key] != other[part][key]}
    assert changed == CHANGED[name]
    assert other["steps"]["count"] == other["validation"]["every"] == 50


def test_few_lessons_are_so_many_and_their_own(tmp_path: Path) -> None:
    settings = settings_of("few-lessons", 50, tmp_path)
    assert len(read_lessons(Path(settings.lessons.own))) == FEW


def test_an_unknown_variation_is_refused_and_those_that_are_there_are_named() -> None:
    with pytest.raises(ConfigError, match=r"--only rank-5: no such variation; there are shipped, rank-4"):
        main(["shipped", "rank-5"], 50, None, None)


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "models.training.train", None)
    with pytest.raises(OrstateError, match=r"PyTorch is not installed .*pip install 'orstate\[training\]'"):
        main(["shipped"], 50, tmp_path, None)


@pytest.mark.parametrize(("keeps", "told"), [(True, r"--keep \S+ goes on"), (False, "lost without --keep")])
def test_a_training_that_was_stopped_has_no_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keeps: bool, told: str
) -> None:
    stopped = SimpleNamespace(run=lambda: False, progress=SimpleNamespace(step=7))
    module = SimpleNamespace(LOG="log.jsonl", Training=lambda *_: stopped)
    monkeypatch.setitem(sys.modules, "models.training.train", module)
    with pytest.raises(OrstateError, match=rf"rank-8 was stopped at step 7 of 50.*{told}"):
        main(["rank-8"], 50, tmp_path if keeps else None, None)
