"""Makes GGUF files of a few kilobytes with a SentencePiece vocabulary."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.gguf import ARRAY, UINT32, Tensor, Value, frame, numbers_value, padding, text_value, texts_value

BOOL, INT32, FLOAT32 = 7, 5, 6
F32, Q8_0 = 0, 8  # kinds of tensor
WIDTH = 32  # numbers of a row of the embedding
ROW = 34  # bytes of such a row in Q8_0

PIECES = ("▁", "a", "b", "ab", "▁ab", "ü", "üb", "ba", "手", "abba", "1")
NORMAL = 1
TOKENS: tuple[tuple[str, int], ...] = (
    ("<unk>", 2),
    ("<s>", 3),
    ("</s>", 3),
    *((f"<0x{byte:02X}>", 6) for byte in range(256)),
    ("<unused0>", 3),
    ("<start_of_turn>", 3),
    ("手手", 4),
    *((piece, NORMAL) for piece in PIECES),
    ("[PAD7]", 5),
)


def number(value: int, kind: int = UINT32) -> Value:
    return Value(kind, struct.pack("<I", value))


def numbers(values: list[int] | list[float], kind: int) -> Value:
    return numbers_value(Value(ARRAY, struct.pack("<IQ", kind, 0)), np.array(values))


def rows(name: str, count: int) -> tuple[Tensor, bytes]:
    """An embedding, each of whose rows is told from the others by its bytes."""
    content = b"".join(struct.pack("<I", row).ljust(ROW, name[:1].encode()) for row in range(count))
    return Tensor(name, (WIDTH, count), Q8_0, 0, len(content)), content


def tiny(
    path: Path,
    tokens: tuple[tuple[str, int], ...] = TOKENS,
    metadata: Mapping[str, Value | None] | None = None,
    tensors: tuple[tuple[Tensor, bytes], ...] = (),
    alignment: int = 32,
) -> Path:
    """Writes a file with that vocabulary; `metadata` adds to the usual, or takes from it (None)."""
    usual: dict[str, Value | None] = {
        "general.architecture": text_value("gemma3"),
        "gemma3.vocab_size": number(len(tokens)),
        "tokenizer.ggml.model": text_value("llama"),
        "tokenizer.ggml.tokens": texts_value([text.encode() for text, _ in tokens]),
        "tokenizer.ggml.scores": numbers([-float(at) for at in range(len(tokens))], FLOAT32),
        "tokenizer.ggml.token_type": numbers([kind for _, kind in tokens], INT32),
        "tokenizer.ggml.eos_token_id": number(2),
        **(metadata or {}),
    }
    values = {key: value for key, value in usual.items() if value is not None}
    middle = Tensor("blk.0.attn_norm.weight", (3,), F32, 0, 12), b"twelve bytes"
    data = [rows("token_embd.weight", len(tokens)), middle, *tensors]
    with path.open("wb") as file:
        file.write(frame(3, values, [tensor for tensor, _ in data], alignment))
        for tensor, content in data:
            file.write(content + bytes(padding(tensor.size, alignment)))
    return path
