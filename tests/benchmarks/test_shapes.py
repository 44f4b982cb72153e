from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, quants
from plain_llama import llama_cpp, low_level, without_amx

from benchmarks.shapes import (
    PIECE_BYTES,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Format,
    Matrix,
    RandomTensor,
    Shape,
    cache_folder,
    random_model,
)
from models.gguf import read
from pipeline.errors import OrstateError

SMALL = Shape(name="small", layers=6, width=256, feed_forward=512, heads=2, kv_heads=1, head_size=128)


@pytest.mark.parametrize("form", [Q3_K, Q4_K, Q5_K, Q6_K], ids=lambda form: form.kind.name)
def test_random_blocks_are_weights_of_the_size_that_was_asked_for(form: Format, tmp_path: Path) -> None:
    tensor = RandomTensor(Matrix("w", 256, 1024, form, size=2.0), seed=(1, 2))
    with (tmp_path / "blocks").open("wb") as file:
        tensor.tofile(file)
    blocks = np.fromfile(tmp_path / "blocks", np.uint8).reshape(tensor.shape)
    weights = quants.dequantize(blocks, form.kind)
    assert weights.shape == (256, 1024)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1).mean(), 2.0, rtol=0.02)
    assert abs(weights.mean()) < 0.02 * weights.std()


def test_a_tensor_larger_than_a_piece_does_not_repeat(tmp_path: Path) -> None:
    tensor = RandomTensor(Matrix("w", 2 * PIECE_BYTES // Q6_K.block_bytes, 256, Q6_K), seed=(1, 2))
    with (tmp_path / "blocks").open("wb") as file:
        tensor.tofile(file)
    blocks = np.fromfile(tmp_path / "blocks", np.uint8).reshape(tensor.shape)
    assert tensor.nbytes > PIECE_BYTES
    assert len({row.tobytes() for row in blocks}) == len(blocks)


def test_rows_that_do_not_fill_their_blocks_are_refused() -> None:
    with pytest.raises(OrstateError, match="w: rows of 300 weights; make them a multiple of 256"):
        RandomTensor(Matrix("w", 2, 300, Q6_K), seed=(1, 2))


def test_a_shape_is_a_model_with_the_tokenizer_it_was_given(tiny_gemma: Path, tmp_path: Path) -> None:
    path = random_model(SMALL, tiny_gemma, tmp_path)
    tokens = "tokenizer.ggml.tokens"
    assert read(path).metadata[tokens] == read(tiny_gemma).metadata[tokens]
    with without_amx():
        loaded = llama_cpp.Llama(str(path), n_ctx=256, n_threads=1, n_threads_batch=1, verbose=False)
    with closing(loaded) as llama:
        scores = []
        for text in (b"Surgeon: suction on, please. ", b"Surgeon: suction off, please. "):
            llama.reset()
            llama.eval(llama.tokenize(text))
            pointer = low_level.llama_get_logits_ith(llama._ctx.ctx, -1)
            scores.append(np.ctypeslib.as_array(pointer, (llama.n_vocab(),)).copy())
        assert np.isfinite(scores).all()
        assert 1.0 < np.std(scores) < 10.0
        assert abs(scores[0] - scores[1]).max() > 0.5


def test_tensors_have_the_formats_of_a_q3_k_m_file(tiny_gemma: Path, tmp_path: Path) -> None:
    layers = 32  # of which 1 in 16 has a better feed-forward
    tensors = GGUFReader(random_model(replace(SMALL, layers=layers), tiny_gemma, tmp_path)).tensors
    formats = {tensor.name.removesuffix(".weight"): tensor.tensor_type.name for tensor in tensors}
    assert formats["token_embd"] == "Q6_K"
    assert formats["output_norm"] == "F32"
    assert {formats[f"blk.{layer}.{name}"] for layer in range(layers) for name in ("attn_q", "ffn_up")} == {"Q3_K"}
    for name in ("attn_v", "ffn_down"):
        found = [formats[f"blk.{layer}.{name}"] for layer in range(layers)]
        assert found == ["Q5_K"] * 2 + ["Q4_K"] * (layers - 2)


def test_a_file_with_the_same_parameters_is_used_again(tiny_gemma: Path, tmp_path: Path) -> None:
    first = random_model(SMALL, tiny_gemma, tmp_path)
    made = first.stat()
    assert random_model(SMALL, tiny_gemma, tmp_path) == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_the_same_parameters_give_the_same_bytes(tiny_gemma: Path, tmp_path: Path) -> None:
    first = random_model(SMALL, tiny_gemma, tmp_path / "a")
    assert first.read_bytes() == random_model(SMALL, tiny_gemma, tmp_path / "b").read_bytes()


def test_other_parameters_or_another_tokenizer_are_another_file(
    tiny_gemma: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    made = {
        random_model(SMALL, tiny_gemma, tmp_path),
        random_model(replace(SMALL, seed=1), tiny_gemma, tmp_path),
        random_model(SMALL, tiny_llama, tmp_path),
    }
    assert len(made) == 3
    assert {path.suffix for path in tmp_path.iterdir()} == {".gguf", ".lock"}  # no parts are left


def test_what_a_killed_process_left_is_in_nobodys_way(tiny_gemma: Path, tmp_path: Path) -> None:
    path = random_model(SMALL, tiny_gemma, tmp_path)
    whole = path.read_bytes()
    path.rename(f"{path}.part")
    with Path(f"{path}.part").open("ab") as part:
        part.write(bytes(1000))
    assert random_model(SMALL, tiny_gemma, tmp_path).read_bytes() == whole


def test_a_missing_tokenizer_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match=r"gone\.gguf: no tokenizer .* No such file .* models fetch"):
        random_model(SMALL, tmp_path / "gone.gguf", tmp_path)


def test_a_file_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    bare = tmp_path / "bare.gguf"
    bare.write_bytes(b"GGUF\x03\0\0\0" + bytes(16))
    with pytest.raises(OrstateError, match=r"bare\.gguf: no field tokenizer\.ggml\.tokens; give the GGUF file of"):
        random_model(SMALL, bare, tmp_path)


def test_a_folder_that_cannot_be_made_is_told_with_the_size(tiny_gemma: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OrstateError, match=r"small-.* 0\.0 GB cannot be written: Not a directory; make room, or give"):
        random_model(SMALL, tiny_gemma, tmp_path / "file" / "folder")


def test_caches_lie_where_the_user_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/orstate")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/nurse")
    assert cache_folder() == Path("/home/nurse/.cache/orstate")
