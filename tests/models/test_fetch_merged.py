"""Weights with an adapter in them are made where they are needed, and made anew for another adapter."""

from pathlib import Path

import msgspec
import pytest
from tiny_adapters import sha256, taught, write_random_adapter

from models.fetch import ensure, fetch
from models.manifest import Manifest
from models.store import ModelBroken
from pipeline.errors import OrstateError

FILE = "taught.gguf"


@pytest.fixture
def base(folder: Path, packaged: Manifest, tiny_gemma: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """What lies in the folder of weights as "tiny"."""
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(tiny_gemma.read_bytes())
    base = msgspec.structs.replace(packaged, sha256=sha256(tiny_gemma))
    monkeypatch.setattr("models.fetch.find_manifest", {"tiny": base}.__getitem__)
    return base


@pytest.fixture
def model(base: Manifest, adapters: Path, tiny_gemma: Path) -> Manifest:
    return in_folder(taught(tiny_gemma, write_random_adapter(adapters / "a.gguf", tiny_gemma)))


def in_folder(manifest: Manifest) -> Manifest:
    """The same, whose weights are not there yet."""
    Path(manifest.file).unlink()
    return msgspec.structs.replace(manifest, file=FILE)


def test_merged_weights_are_made_of_what_is_there_and_are_those_of_the_manifest(folder: Path, model: Manifest) -> None:
    assert ensure(model) == folder / FILE
    assert sha256(folder / FILE) == model.sha256
    assert sorted(path.name for path in folder.iterdir()) == [FILE, f"{FILE}.lock", "tiny.gguf"]
    made = (folder / FILE).stat().st_mtime_ns
    assert ensure(model) == fetch(model)
    assert (folder / FILE).stat().st_mtime_ns == made


def test_weights_with_an_earlier_adapter_are_made_anew(
    folder: Path, model: Manifest, adapters: Path, tiny_gemma: Path
) -> None:
    ensure(model)
    later = in_folder(taught(tiny_gemma, write_random_adapter(adapters / "b.gguf", tiny_gemma, seed=6)))
    assert later.sha256 != model.sha256
    assert sha256(ensure(later)) == later.sha256


def test_broken_weights_are_not_replaced_behind_anybodys_back(folder: Path, model: Manifest) -> None:
    path = ensure(model)
    path.write_bytes(path.read_bytes()[:5000])
    assert sha256(ensure(model)) != model.sha256
    assert sha256(fetch(model)) == model.sha256


def test_weights_that_come_out_otherwise_than_the_manifest_says_are_refused(folder: Path, model: Manifest) -> None:
    with pytest.raises(OrstateError, match=f"sha256 is {model.sha256}, expected {64 * 'a'}"):
        ensure(msgspec.structs.replace(model, sha256=64 * "a"))
    assert not (folder / FILE).exists()


def test_an_adapter_for_other_weights_is_refused(
    folder: Path, model: Manifest, adapters: Path, tiny_llama: Path
) -> None:
    write_random_adapter(adapters / "a.gguf", tiny_llama)
    with pytest.raises(ModelBroken, match=r"a\.gguf: does not fit .*tiny\.gguf: "):
        ensure(model)
    assert sorted(path.name for path in folder.iterdir()) == [f"{FILE}.lock", "tiny.gguf"]
