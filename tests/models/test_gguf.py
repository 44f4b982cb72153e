from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import INT32, TOKENS, numbers, tiny

from models.fetch import ensure
from models.gguf import GgufBroken, Value, frame, numbers_value, read, text_value, texts_value
from models.manifest import find_manifest


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read(tiny(tmp_path / "a.gguf"))
    assert found.metadata["general.architecture"].text() == "gemma3"
    assert found.metadata["tokenizer.ggml.tokens"].texts() == [text.encode() for text, _ in TOKENS]
    assert found.metadata["tokenizer.ggml.token_type"].numbers().tolist() == [kind for _, kind in TOKENS]
    assert found.metadata["tokenizer.ggml.eos_token_id"].numbers().tolist() == [2]
    assert [(tensor.name, tensor.shape) for tensor in found.tensors] == [
        ("token_embd.weight", (32, len(TOKENS))),
        ("blk.0.attn_norm.weight", (3,)),
    ]


def test_a_file_without_tensors_has_none(tmp_path: Path) -> None:
    path = tmp_path / "bare.gguf"
    path.write_bytes(frame(3, {"general.architecture": text_value("gemma3")}, [], 32))
    assert (read(path).tensors, read(path).metadata["general.architecture"].text()) == ([], "gemma3")


def test_a_tensor_lies_where_the_file_says(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf", alignment=64, metadata={"general.alignment": Value(4, b"\x40\0\0\0")})
    tensor = read(path).tensors[1]
    assert path.read_bytes()[tensor.start :][:12] == b"twelve bytes"


@given(texts=st.lists(st.binary(max_size=9)), values=st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_values_keep_what_they_were_made_of(texts: list[bytes], values: list[int]) -> None:
    assert texts_value(texts).texts() == texts
    made = numbers(values, INT32)
    assert (made.count, made.numbers().tolist()) == (len(values), values)
    assert numbers_value(made, np.array(values[:2])).numbers().tolist() == values[:2]


def test_a_value_of_another_kind_gives_nothing() -> None:
    assert (text_value("a").texts(), text_value("a").count, text_value("a").numbers().size) == ([], 0, 0)
    assert (numbers([1], INT32).texts(), numbers([1], INT32).text()) == ([], "")


@pytest.mark.parametrize("size", [5, 23, 24, 200, 5000, -1300])
def test_a_file_that_ends_too_early_is_told_with_the_place(tmp_path: Path, size: int) -> None:
    whole = tiny(tmp_path / "a.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[:size])
    with pytest.raises(GgufBroken, match=r"half\.gguf: .* at byte \d+ of \d+; get the file again"):
        read(tmp_path / "half.gguf")


@given(damage=st.binary(min_size=1, max_size=12), at=st.integers(4, 8000))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, damage: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    whole = bytearray(tiny(path).read_bytes())
    whole[at : at + len(damage)] = damage
    path.write_bytes(whole)
    with suppress(GgufBroken):
        read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"begins with b''"),
        (b"<html>", r"begins with b'<htm'"),
        (b"GGUF" + bytes([9, 0, 0, 0]) + bytes(16), "version 9, known are"),
    ],
)
def test_another_file_is_refused_by_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(GgufBroken, match=says):
        read(tmp_path / "a.gguf")


def test_the_frame_of_a_real_model_is_written_as_it_was_read() -> None:
    path = ensure(find_manifest("gemma-3-270m"))
    found = read(path)
    with path.open("rb") as file:
        head = file.read(found.tensors[0].start)
    assert frame(found.version, found.metadata, found.tensors, found.alignment) == head


@pytest.mark.parametrize(
    "told", [Value(4, b"\0\0\0\0"), Value(4, b"\xff\xff\xff\xff"), Value(6, b"\0\0\xc0\x7f"), text_value("32")]
)
def test_an_alignment_that_is_none_is_refused(tmp_path: Path, told: Value) -> None:
    with pytest.raises(GgufBroken, match="alignment"):
        read(tiny(tmp_path / "a.gguf", metadata={"general.alignment": told}))
