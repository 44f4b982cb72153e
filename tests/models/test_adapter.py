"""The file of an adapter: what is written is read again, and what does not fit its model is told by one line."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gguf import GGUFReader
from tiny_adapters import ALPHA, random_pairs, sha256, taught, write_random_adapter

from models.adapter import BASE, Pair, adapter_path, read_adapter, verify_adapter, write_adapter
from models.manifest import Manifest
from models.merge import merge
from models.store import ModelBroken, ModelMissing
from pipeline.errors import OrstateError
from pipeline.progress import silent

KEYS = ("general.type", "adapter.type", "adapter.lora.alpha", BASE)


@pytest.fixture
def manifest(adapters: Path, tiny_gemma: Path) -> Manifest:
    return taught(tiny_gemma, write_random_adapter(adapters / "random.gguf", tiny_gemma))


def test_an_adapter_is_read_as_it_was_written_but_for_half_precision(tmp_path: Path, tiny_gemma: Path) -> None:
    written = random_pairs(tiny_gemma)
    read, alpha = read_adapter(write_random_adapter(tmp_path / "a.gguf", tiny_gemma))
    assert alpha == ALPHA
    assert list(read) == list(written)
    for name, pair in written.items():
        for was, came in zip(pair, read[name], strict=True):
            np.testing.assert_array_equal(came, was.astype(np.float16))


def test_the_library_of_the_format_reads_the_same(tmp_path: Path, tiny_gemma: Path) -> None:
    reader = GGUFReader(write_random_adapter(tmp_path / "a.gguf", tiny_gemma))
    fields = {key: reader.fields[key].contents() for key in KEYS}
    assert list(fields.values()) == ["adapter", "lora", ALPHA, sha256(tiny_gemma)]
    pairs = random_pairs(tiny_gemma)
    assert len(reader.tensors) == 2 * len(pairs)
    for tensor in reader.tensors:
        name, _, half = tensor.name.rpartition(".lora_")
        np.testing.assert_array_equal(tensor.data, getattr(pairs[name], half).astype(np.float16))


def test_an_adapter_of_more_than_ten_megabytes_is_not_written(tmp_path: Path) -> None:
    large = {"blk.0.attn_q.weight": Pair(np.zeros((1024, 4096), np.float32), np.zeros((1024, 1024), np.float32))}
    with pytest.raises(OrstateError, match=r"10,\d{3},\d{3} bytes, at most 10,000,000; lower the rank"):
        write_adapter(tmp_path / "a.gguf", large, architecture="gemma3", alpha=1.0, notice={})
    assert not list(tmp_path.iterdir())


def test_an_adapter_that_fits_is_told_in_one_sentence(manifest: Manifest) -> None:
    said = verify_adapter(manifest)
    assert said.endswith(f"its 49 matrices are in {manifest.file}")
    assert "\n" not in said


def test_a_model_without_an_adapter_has_no_path_of_one(manifest: Manifest) -> None:
    assert adapter_path(msgspec.structs.replace(manifest, adapter=None)) is None


def test_an_adapter_that_is_not_there_is_missing(manifest: Manifest, adapters: Path) -> None:
    (adapters / "random.gguf").unlink()
    with pytest.raises(ModelMissing, match=r"random\.gguf: the adapter of tiny-taught is not there"):
        verify_adapter(manifest)


def test_an_adapter_that_leads_out_of_its_folder_is_refused(manifest: Manifest, adapters: Path, tmp_path: Path) -> None:
    (adapters / "random.gguf").rename(tmp_path / "elsewhere.gguf")
    (adapters / "random.gguf").symlink_to(tmp_path / "elsewhere.gguf")
    with pytest.raises(ModelBroken, match="leads out of its folder"):
        verify_adapter(manifest)


def test_a_changed_adapter_is_broken(manifest: Manifest, adapters: Path) -> None:
    with (adapters / "random.gguf").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(ModelBroken, match=r"sha256 is [0-9a-f]{64}, expected"):
        verify_adapter(manifest)


def test_weights_with_another_adapter_in_them_are_told(manifest: Manifest, adapters: Path, tiny_gemma: Path) -> None:
    other = taught(tiny_gemma, write_random_adapter(adapters / "other.gguf", tiny_gemma, seed=6))
    with pytest.raises(ModelBroken, match=r"orstate\.merge\.adapter_sha256 is .*; fetch tiny-taught again"):
        verify_adapter(msgspec.structs.replace(manifest, file=other.file))


def narrowed(pairs: dict[str, Pair]) -> None:
    pairs["blk.0.attn_q.weight"] = Pair(np.zeros((4, 64), np.float32), pairs["blk.0.attn_q.weight"].b)


def shorter_in_the_middle(pairs: dict[str, Pair]) -> None:
    pairs["blk.0.attn_q.weight"] = Pair(np.zeros((3, 128), np.float32), pairs["blk.0.attn_q.weight"].b)


def of_another_layer(pairs: dict[str, Pair]) -> None:
    pairs["blk.99.attn_q.weight"] = pairs["blk.0.attn_q.weight"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (narrowed, r"blk\.0\.attn_q\.weight has shape \(128, 128\), its halves \(64, 4\) and \(4, 128\)"),
        (shorter_in_the_middle, r"its halves \(128, 3\) and \(4, 128\)"),
        (of_another_layer, r"tensor blk\.99\.attn_q\.weight\.lora_a belongs to none of the weights"),
        (dict.clear, "it has no tensors"),
    ],
)
def test_an_adapter_of_other_shapes_does_not_fit(change: Any, says: str, adapters: Path, tiny_gemma: Path) -> None:
    pairs = random_pairs(tiny_gemma)
    change(pairs)
    path = adapters / "other.gguf"
    write_adapter(path, pairs, architecture="gemma3", alpha=ALPHA, notice={BASE: sha256(tiny_gemma)})
    with pytest.raises(ModelBroken, match=rf"other\.gguf: does not fit .*{says}"):
        merge(tiny_gemma, path, adapters / "merged.gguf", silent)
    assert not (adapters / "merged.gguf").exists()


@pytest.mark.parametrize(
    ("architecture", "base", "says"),
    [("llama", "", "general.architecture is 'llama', expected 'gemma3'"), ("gemma3", 64 * "a", f"{BASE} is 'a{{64}}'")],
)
def test_an_adapter_of_another_model_does_not_fit(
    architecture: str, base: str, says: str, adapters: Path, tiny_gemma: Path
) -> None:
    path = adapters / "other.gguf"
    notice = {BASE: base or sha256(tiny_gemma)}
    write_adapter(path, random_pairs(tiny_gemma), architecture=architecture, alpha=ALPHA, notice=notice)
    with pytest.raises(ModelBroken, match=says):
        merge(tiny_gemma, path, adapters / "merged.gguf", silent)


def test_weights_are_no_adapter(adapters: Path, tiny_gemma: Path) -> None:
    path = adapters / "weights.gguf"
    path.write_bytes(tiny_gemma.read_bytes())
    with pytest.raises(ModelBroken, match=r"general\.type is '', expected 'adapter'"):
        merge(tiny_gemma, path, adapters / "merged.gguf", silent)
    with pytest.raises(ModelBroken, match="is no half of an adapter in f16"):
        read_adapter(path)


@pytest.mark.parametrize("length", [3, 100, 5000, -64])
def test_an_adapter_that_is_cut_off_is_broken(length: int, adapters: Path, tiny_gemma: Path, tmp_path: Path) -> None:
    whole = write_random_adapter(tmp_path / "whole.gguf", tiny_gemma).read_bytes()
    path = adapters / "cut.gguf"
    path.write_bytes(whole[:length])
    with pytest.raises(ModelBroken, match=r"cut\.gguf"):
        read_adapter(path)
