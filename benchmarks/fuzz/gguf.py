"""Model files: the frame of a GGUF, its values, and what is trimmed of it."""

from pathlib import Path
from struct import pack
from typing import Final

import numpy as np
from hypothesis import strategies as st

from benchmarks.fuzz.target import Check, Target, Unvalidated
from models.gguf import ARRAY, STRING, Tensor, Value, frame, padding, read, text_value, texts_value
from models.trim import trim
from pipeline.errors import OrstateError

_BYTE, _INT32, _UINT32, _FLOAT32 = 6, 5, 4, 6  # a kind of token, and kinds of numbers
_WIDTH: Final = 4


def make(folder: Path) -> Check:
    file, trimmed = folder / "model.gguf", folder / "trimmed.gguf"

    def check(data: bytes) -> None:
        """The file is read or refused, and what is read is within the file; a trimmed one reads again."""
        file.write_bytes(data)
        try:
            found = read(file)
        except OrstateError:
            return
        for value in found.metadata.values():
            if len(value.texts()) + len(value.numbers()) + len(value.text()) > 4 * len(data):
                raise Unvalidated(f"{len(value.texts())} texts and {len(value.numbers())} numbers of {len(data)} bytes")
        if any(tensor.start + tensor.size > len(data) or tensor.size < 0 for tensor in found.tensors):
            raise Unvalidated("a tensor outside of the file")
        try:
            trim(file, trimmed, lambda done, total: None)
            read(trimmed)
        except OrstateError:
            pass
        finally:
            trimmed.unlink(missing_ok=True)

    return check


def file(metadata: dict[str, Value], tensors: list[tuple[str, tuple[int, ...], int]], alignment: int) -> bytes:
    """A file of that metadata; tensors by name, shape and bytes."""
    listed = [Tensor(name, shape, 0, 0, size) for name, shape, size in tensors]
    data = b"".join(bytes(t.size + padding(t.size, alignment)) for t in listed)
    return frame(3, metadata, listed, alignment) + data


def _vocabulary(texts: list[bytes]) -> bytes:
    """A file that can be trimmed, with these tokens beside those for single bytes."""
    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), *texts]
    kinds = np.array([2, 3, 3, *[_BYTE] * 256, *[1] * len(texts)], np.int32)
    scores = -np.arange(len(tokens), dtype=np.float32)
    metadata = {
        "general.architecture": text_value("gemma3"),
        "gemma3.vocab_size": Value(_UINT32, pack("<I", len(tokens))),
        "tokenizer.ggml.model": text_value("llama"),
        "tokenizer.ggml.tokens": texts_value(tokens),
        "tokenizer.ggml.scores": Value(ARRAY, pack("<IQ", _FLOAT32, len(tokens)) + scores.tobytes()),
        "tokenizer.ggml.token_type": Value(ARRAY, pack("<IQ", _INT32, len(tokens)) + kinds.tobytes()),
        "tokenizer.ggml.eos_token_id": Value(_UINT32, pack("<I", 2)),
    }
    return file(metadata, [("token_embd.weight", (_WIDTH, len(tokens)), _WIDTH * len(tokens))], 32)


_KEYS: Final = st.sampled_from(
    ("general.alignment", "split.count", "tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id")
)
_COUNTS: Final = st.sampled_from((0, 1, 2, 2**31, 2**63, 2**64 - 1))
_VALUES: Final = st.one_of(
    st.builds(Value, st.integers(0, 13), st.binary(max_size=16)),
    st.text(max_size=8).map(text_value),
    st.lists(st.binary(max_size=5), max_size=4).map(texts_value),
    st.builds(
        lambda kind, count, raw: Value(ARRAY, pack("<IQ", kind, count) + raw),
        st.integers(0, 13) | st.just(STRING),
        _COUNTS,
        st.binary(max_size=16),
    ),
)
_TENSORS: Final = st.tuples(
    st.sampled_from(("token_embd.weight", "output.weight", "a")),
    st.lists(_COUNTS, max_size=4).map(tuple),
    st.integers(0, 100),
)

TARGET: Final = Target(
    "gguf",
    make,
    st.one_of(
        st.builds(
            file,
            st.dictionaries(_KEYS, _VALUES, max_size=4),
            st.lists(_TENSORS, max_size=3),
            st.sampled_from((1, 8, 32, 64)),
        ),
        st.lists(st.sampled_from((b"a", b"ab", "\u2581a".encode(), b"\xff", b"<unused1>")), max_size=6).map(
            _vocabulary
        ),
    ),
)
