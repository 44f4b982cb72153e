"""The best adapter of a training becomes a model that is found by its name."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from small_lessons import small_lessons
from tiny_adapters import ALPHA, random_pairs, sha256, taught, write_random_adapter

from models.adapter import Pair, read_adapter, write_adapter
from models.manifest import Manifest, MergedSource, TrimmedSource, load_manifests
from models.store import ModelBroken, weights_path
from models.training.asking import ask_engine
from models.training.mix import mix
from models.training.settings import DEFAULT_FILE, Settings, load_settings
from models.training.ship import NOTICE, manifest_text, ship
from pipeline.errors import ConfigError

SETTINGS = load_settings(DEFAULT_FILE)


@pytest.fixture
def base(tiny_gemma: Path, adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """What the settings name: a tiny model, whose file lies in the folder of weights."""
    monkeypatch.setenv("ORSTATE_MODELS", str(tiny_gemma.parent))
    manifest = taught(tiny_gemma, write_random_adapter(tmp_path / "best.gguf", tiny_gemma))
    base = msgspec.structs.replace(
        manifest,
        name="tiny",
        file=tiny_gemma.name,
        sha256=sha256(tiny_gemma),
        source=TrimmedSource(model="whole"),
        adapter=None,
        examples="many",
    )
    monkeypatch.setattr("models.training.ship.find_manifest", {SETTINGS.model: base}.__getitem__)
    monkeypatch.setattr("models.training.ship.FOLDER", tmp_path)
    monkeypatch.setattr("models.training.ship.adapters_folder", lambda: adapters)
    monkeypatch.setattr("models.training.validating.lessons", small_lessons)
    return base


def best(folder: Path, base: Manifest, settings: Settings = SETTINGS, start: str = "") -> None:
    known = {
        "settings": settings.digest,
        "base_sha256": base.sha256,
        "step": 3,
        "scores": {"exact": 0.5},
        "start": start,
    }
    (folder / "best.json").write_text(json.dumps(known))


def test_what_is_shipped_is_a_manifest_that_is_read_as_it_was_made(
    base: Manifest, tmp_path: Path, adapters: Path
) -> None:
    best(tmp_path, base)
    made = ship(SETTINGS, tmp_path, "tiny-new", 6)
    (tmp_path / "tiny.toml").write_text(manifest_text(base))
    assert load_manifests(tmp_path) == {"tiny": base, "tiny-new": made}
    assert made.adapter is not None
    assert made.adapter.sha256 == sha256(adapters / "tiny-new.gguf") == sha256(tmp_path / "best.gguf")
    assert (made.examples, made.label, made.file) == ("none", "tiny-new", "tiny-new.gguf")
    assert made.source == MergedSource(model="tiny")
    assert made.sha256 == sha256(weights_path(made))
    assert (made.window_lines, made.links, made.hints, made.own_phase) == (
        SETTINGS.lessons.most_lines,
        True,
        SETTINGS.lessons.hints,
        False,
    )
    assert made.licence is not None
    assert made.licence.notice == NOTICE
    assert set(made.adapter.scores) == {"toggles", "exact", "exact_invented"}


def test_what_is_shipped_may_lie_between_what_the_training_began_with_and_what_it_came_to(
    base: Manifest, tmp_path: Path, adapters: Path, tiny_gemma: Path
) -> None:
    start = write_random_adapter(tmp_path / "start.gguf", tiny_gemma, seed=8)
    best(tmp_path, base, start=sha256(start))
    ship(SETTINGS, tmp_path, "tiny-between", 1, start, 0.25)
    (before, _), (after, _), (made, alpha) = map(
        read_adapter, (start, tmp_path / "best.gguf", adapters / "tiny-between.gguf")
    )
    assert alpha == ALPHA
    for name, pair in made.items():
        for half in ("a", "b"):
            expected = 0.75 * getattr(before[name], half) + 0.25 * getattr(after[name], half)
            np.testing.assert_allclose(getattr(pair, half), expected, rtol=1e-3, atol=1e-6)
    ends = [ship(SETTINGS, tmp_path, "tiny-end", 1, start, share).adapter for share in (0.0, 1.0)]
    assert [end.sha256 for end in ends if end] == [sha256(start), sha256(tmp_path / "best.gguf")]


def test_a_training_that_began_with_another_adapter_is_not_mixed(
    base: Manifest, tmp_path: Path, adapters: Path, tiny_gemma: Path
) -> None:
    start, other = (write_random_adapter(tmp_path / f"{n}.gguf", tiny_gemma, seed=n) for n in (8, 9))
    best(tmp_path, base, start=sha256(start))
    with pytest.raises(ConfigError, match=r"9\.gguf: is not the adapter that .* began with"):
        ship(SETTINGS, tmp_path, "tiny-between", 1, other, 0.25)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(start.read_bytes()[:200])
    with pytest.raises(ModelBroken, match=r"broken\.gguf"):
        mix(broken, tmp_path / "best.gguf", 0.5, adapters / "m.gguf")
    halved = {name: Pair(pair.a[:2], pair.b[:, :2]) for name, pair in random_pairs(tiny_gemma).items()}
    write_adapter(tmp_path / "halved.gguf", halved, architecture="gemma3", alpha=ALPHA, notice={})
    with pytest.raises(ModelBroken, match=r"halved\.gguf: has other matrices than .*best\.gguf"):
        mix(tmp_path / "halved.gguf", tmp_path / "best.gguf", 0.5, adapters / "m.gguf")


def test_the_engine_is_asked_about_each_lesson_in_its_own_words(
    base: Manifest, tmp_path: Path, adapters: Path, tiny_gemma: Path
) -> None:
    manifest = taught(tiny_gemma, write_random_adapter(adapters / "a.gguf", tiny_gemma))
    lessons = list(small_lessons(1, 7))
    answers = ask_engine(manifest, lessons)
    assert [list(answer) for answer in answers] == 7 * [["on", "off", "phase", "next", "why", "tips"]]
    switched = [
        {key: answer[key] for key in ("on", "off")} for answer in (answers[2], *ask_engine(manifest, lessons[2:3]))
    ]
    assert switched[0] == switched[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"settings": 64 * "1"}, "was trained with other settings"),
        ({"base_sha256": 64 * "1"}, "was trained on weights with sha256 1{64}, tiny has another"),
        ({"step": "x"}, r"best\.json: .*give the folder of a training"),
    ],
)
def test_an_adapter_of_another_training_is_not_shipped(
    change: dict[str, object], says: str, base: Manifest, tmp_path: Path, adapters: Path
) -> None:
    best(tmp_path, base)
    known = json.loads((tmp_path / "best.json").read_text())
    (tmp_path / "best.json").write_text(json.dumps({**known, **change}))
    with pytest.raises(ConfigError, match=says):
        ship(SETTINGS, tmp_path, "tiny-new", 6)
    assert not list(adapters.iterdir())
    assert not list(tmp_path.glob("*.toml"))


def test_a_training_without_a_validation_has_nothing_to_ship(base: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no best adapter yet"):
        ship(SETTINGS, tmp_path, "tiny-new", 6)
