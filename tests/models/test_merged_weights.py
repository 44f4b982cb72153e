"""Weights with an adapter added to them compute what llama.cpp computes with the adapter beside them."""

import re
from pathlib import Path

import numpy as np
import pytest
from beside import opened
from gguf import GGMLQuantizationType, GGUFReader, quants
from tiny_adapters import ALPHA, RANK, random_pairs, sha256, write_random_adapter

from models.adapter import write_adapter
from models.gguf import read
from models.merge import merge
from models.store import ModelBroken
from pipeline.errors import OrstateError
from pipeline.progress import silent
from stages.inference.native import Layout, Logits, Row

LAYOUT = Layout(cells=256, sequences=1, rows=64, threads=1)


def logits(path: Path, adapter: Path | None = None) -> Logits:
    """Those behind a short text."""
    with opened(path, adapter, LAYOUT) as (model, context):
        tokens = [*model.begin, *model.tokenize("turn on the suction please", False)]
        context.decode([Row(token, at, 0, at == len(tokens) - 1) for at, token in enumerate(tokens)])
        return context.logits(len(tokens) - 1).copy()


@pytest.fixture
def adapter(tmp_path: Path, tiny_gemma: Path) -> Path:
    return write_random_adapter(tmp_path / "adapter.gguf", tiny_gemma)


@pytest.fixture
def merged(tmp_path: Path, tiny_gemma: Path, adapter: Path) -> Path:
    merge(tiny_gemma, adapter, tmp_path / "merged.gguf", silent)
    return tmp_path / "merged.gguf"


def test_merged_weights_compute_what_the_adapter_beside_its_weights_does(
    tiny_gemma: Path, adapter: Path, merged: Path
) -> None:
    without, beside, with_it = logits(tiny_gemma), logits(tiny_gemma, adapter), logits(merged)
    assert np.sqrt(np.mean((with_it - beside) ** 2)) < 0.15 * np.sqrt(np.mean((without - beside) ** 2))


def test_a_matrix_is_what_it_was_and_the_product_rounded_to_eight_bits(tiny_gemma: Path, merged: Path) -> None:
    before, after = ({t.name: t for t in GGUFReader(path).tensors} for path in (tiny_gemma, merged))
    pairs = random_pairs(tiny_gemma)
    assert list(before) == list(after)
    for name, tensor in after.items():
        if name not in pairs:
            assert tensor.tensor_type == before[name].tensor_type
            np.testing.assert_array_equal(tensor.data, before[name].data)
            continue
        assert tensor.tensor_type == GGMLQuantizationType.Q8_0
        a, b = (half.astype(np.float16).astype(np.float64) for half in pairs[name])
        wanted = quants.dequantize(before[name].data, before[name].tensor_type) + ALPHA / RANK * b @ a
        got = quants.dequantize(tensor.data, tensor.tensor_type)
        largest = np.abs(wanted.reshape(-1, 32)).max(axis=1, keepdims=True)
        assert (np.abs((got - wanted).reshape(-1, 32)) <= largest / 127 * 0.6).all()


def test_it_says_what_it_is_made_of_and_that_it_is_modified(tiny_gemma: Path, adapter: Path, merged: Path) -> None:
    before, after = read(tiny_gemma).metadata, read(merged).metadata
    assert {key: after[key].raw for key in before} == {key: value.raw for key, value in before.items()}
    assert after["orstate.merge.base_sha256"].text() == sha256(tiny_gemma)
    assert after["orstate.merge.adapter_sha256"].text() == sha256(adapter)
    assert "modified by orstate" in after["orstate.merge.notice"].text()


def test_the_same_again_is_the_same_file(tmp_path: Path, tiny_gemma: Path, adapter: Path, merged: Path) -> None:
    told: list[tuple[int, int]] = []
    merge(tiny_gemma, adapter, tmp_path / "again.gguf", lambda done, size: told.append((done, size)))
    assert sha256(tmp_path / "again.gguf") == sha256(merged)
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_an_adapter_of_zeros_changes_nothing_but_the_rounding(tmp_path: Path, tiny_gemma: Path) -> None:
    zeros = {name: pair._replace(b=np.zeros_like(pair.b)) for name, pair in random_pairs(tiny_gemma).items()}
    notice = {"orstate.adapter.base_sha256": sha256(tiny_gemma)}
    write_adapter(tmp_path / "zeros.gguf", zeros, architecture="gemma3", alpha=8.0, notice=notice)
    merge(tiny_gemma, tmp_path / "zeros.gguf", tmp_path / "merged.gguf", silent)
    without = logits(tiny_gemma)
    assert np.sqrt(np.mean((logits(tmp_path / "merged.gguf") - without) ** 2)) < 0.05 * without.std()


def test_twice_the_alpha_is_half_of_b(tmp_path: Path, tiny_gemma: Path) -> None:
    pairs = random_pairs(tiny_gemma)
    halved = {name: pair._replace(b=pair.b / 2) for name, pair in pairs.items()}
    notice = {"orstate.adapter.base_sha256": sha256(tiny_gemma)}
    for name, each, alpha in (("a", pairs, 8.0), ("b", halved, 16.0)):
        write_adapter(tmp_path / f"{name}.gguf", each, architecture="gemma3", alpha=alpha, notice=notice)
        merge(tiny_gemma, tmp_path / f"{name}.gguf", tmp_path / f"{name}.merged.gguf", silent)
    np.testing.assert_allclose(*(logits(tmp_path / f"{name}.merged.gguf") for name in "ab"), atol=0.05)


def test_an_adapter_of_another_shape_is_refused_by_the_library_too(
    tmp_path: Path, tiny_gemma: Path, tiny_llama: Path
) -> None:
    other = write_random_adapter(tmp_path / "other.gguf", tiny_llama)
    with pytest.raises(OSError, match=r"other\.gguf: cannot be loaded beside .*tiny-gemma\.gguf"):
        logits(tiny_gemma, other)


@pytest.mark.parametrize("length", [3, 2000, -40_000])
def test_weights_that_are_cut_off_are_told_and_nothing_is_left(
    length: int, tmp_path: Path, tiny_gemma: Path, adapter: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gemma.read_bytes()[:length])
    with pytest.raises(ModelBroken, match=r"cut\.gguf"):
        merge(cut, adapter, tmp_path / "target.gguf", silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter.gguf", "cut.gguf"]


def test_a_folder_that_cannot_be_written_is_told_with_both_files(
    tmp_path: Path, tiny_gemma: Path, adapter: Path
) -> None:
    target = tmp_path / "none" / "merged.gguf"
    with pytest.raises(OrstateError, match=f"cannot be merged to {re.escape(str(target))}: .*see to it and try again"):
        merge(tiny_gemma, adapter, target, silent)
