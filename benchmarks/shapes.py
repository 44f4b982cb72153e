"""A model by its shape alone: MedGemma-4B's tensors, in Q3_K_M's formats, with random weights. Used by benchmarks,
which need a model's speed where its weights cannot be had. Runs in the process that asks for it.

How fast a model is follows from shapes and formats, not from values. The values still are scaled so that every
layer adds its part and the scores are finite, spread, and follow from all of the text.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter, LlamaFileType, RopeScalingType

from models.gguf import Value, read
from pipeline.errors import OrstateError

RECIPE = 1  # to be raised when other bytes are written for the same parameters
BLOCK = 256  # weights in a block of all the formats here
PIECE_BYTES = 2**22  # made and written at once
# A token's own embedding goes through to the output, which is the embedding too: of full size, each token would be
# followed by itself. The gain makes up for it, so that scores differ by a few units, as a trained model's do.
EMBEDDING_SIZE = 1 / 3  # length of a token's vector
OUTPUT_GAIN = 9.0
ATTENTION_GAIN = 4.0  # attention to all that was said alike gives every token the same

_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True)
class Shape:
    """A Gemma 3 model: how many of what. The defaults are MedGemma-4B's text model (source: its config.json)."""

    name: str = "medgemma-4b-shape"
    layers: int = 34
    width: int = 2560
    feed_forward: int = 10240
    heads: int = 8
    kv_heads: int = 4
    head_size: int = 256
    sliding_window: int = 1024
    context: int = 131_072
    rope_factor: float = 8.0
    seed: int = 0


@dataclass(frozen=True)
class Format:
    """A quantisation whose blocks may hold any bits but for one or two half-precision factors (source: ggml-common.h).

    With all bits random and a factor of 1, weights have mean 0 and this standard deviation. `minimum` is what the
    factor of the subtracted minimum must be for that, None if the format has none.
    """

    kind: GGMLQuantizationType
    block_bytes: int
    factor_at: int
    deviation: float
    minimum: float | None = None  # stands behind the factor


Q3_K = Format(GGMLQuantizationType.Q3_K, 110, 108, 43.3)
Q4_K = Format(GGMLQuantizationType.Q4_K, 144, 0, 258.3, 7.5)
Q5_K = Format(GGMLQuantizationType.Q5_K, 176, 0, 526.9, 15.5)
Q6_K = Format(GGMLQuantizationType.Q6_K, 210, 208, 1365.7)


@dataclass(frozen=True)
class Matrix:
    """A tensor of `rows` vectors, each of about the length `size`: 1 keeps the size of what is multiplied by them."""

    name: str
    rows: int
    columns: int
    form: Format
    size: float = 1.0


class RandomTensor:
    """What GGUFWriter asks of an array, without the array: the bytes are made as they are written."""

    dtype = np.dtype(np.uint8)

    def __init__(self, matrix: Matrix, seed: tuple[int, int]) -> None:
        if matrix.columns % BLOCK:
            raise OrstateError(f"{matrix.name}: rows of {matrix.columns} weights; make them a multiple of {BLOCK}")
        self._form = matrix.form
        self._factor = matrix.size * matrix.columns**-0.5 / matrix.form.deviation
        self._seed = seed
        self.shape = (matrix.rows, matrix.columns // BLOCK * matrix.form.block_bytes)
        self.nbytes = self.shape[0] * self.shape[1]

    def tofile(self, file: BinaryIO) -> None:
        random = np.random.Generator(np.random.SFC64(self._seed))
        most = PIECE_BYTES // self._form.block_bytes
        left = self.nbytes // self._form.block_bytes
        while left:
            count = min(left, most)
            file.write(self._blocks(random, count).data)
            left -= count

    def _blocks(self, random: np.random.Generator, count: int) -> npt.NDArray[np.uint8]:
        size = count * self._form.block_bytes
        words = random.integers(0, 2**64, size=-(-size // 8), dtype=np.uint64)
        blocks = words.view(np.uint8)[:size].reshape(count, self._form.block_bytes)
        factors = [self._factor] if self._form.minimum is None else [self._factor, self._factor * self._form.minimum]
        at = self._form.factor_at
        blocks[:, at : at + 2 * len(factors)] = np.array(factors, "<f2").view(np.uint8)
        return blocks


def cache_folder() -> Path:
    """Where files are kept that can be made again: $XDG_CACHE_HOME/orstate, or ~/.cache/orstate."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "orstate"


def medgemma_4b(tokenizer_file: Path, folder: Path) -> Path:
    """A file of MedGemma-4B's shape, 2.1 GB with 262,144 tokens; see `random_model`."""
    return random_model(Shape(), tokenizer_file, folder)


def random_model(shape: Shape, tokenizer_file: Path, folder: Path) -> Path:
    """A GGUF file of that shape with the tokenizer, and so the number of tokens, of another GGUF file.

    It is made in `folder`, which is created, unless one with the same parameters and tokenizer file is there.
    Raises OrstateError if the tokenizer cannot be read or the file cannot be written.
    """
    try:
        with tokenizer_file.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OrstateError(
            f"{tokenizer_file}: no tokenizer can be taken from it: {error.strerror}; give a GGUF file that is there, "
            "or get one with: python run_pipeline.py models fetch"
        ) from error
    parameters = hashlib.sha256(f"{RECIPE} {shape} {content}".encode()).hexdigest()
    target = folder / f"{shape.name}-{parameters[:16]}.gguf"
    if target.is_file():
        return target
    part = target.with_name(f"{target.name}.part")
    writer = _describe(shape, tokenizer_file, part)
    size_gb = sum(tensor.nbytes for tensor in writer.tensors[0].values()) / 1e9
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_file():  # another process may have made it meanwhile
                _write(writer, part, target)
    except OSError as error:
        raise OrstateError(
            f"{target}: {size_gb:.1f} GB cannot be written: {error.strerror}; make room, or give another folder"
        ) from error
    return target


def _write(writer: GGUFWriter, part: Path, target: Path) -> None:
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _describe(shape: Shape, tokenizer_file: Path, path: Path) -> GGUFWriter:
    """A writer to `path` that knows all fields and tensors; nothing is written yet."""
    fields = read(tokenizer_file).metadata
    if _TOKENS not in fields:
        raise OrstateError(f"{tokenizer_file}: no field {_TOKENS}; give the GGUF file of a language model")
    writer = GGUFWriter(path, "gemma3")
    writer.add_name(f"{shape.name}, random weights")
    writer.add_file_type(LlamaFileType.MOSTLY_Q3_K_M)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(shape.rope_factor)
    writer.add_sliding_window(shape.sliding_window)
    for key, field in fields.items():
        if key.startswith("tokenizer."):
            _add(writer, key, field)
    for number, matrix in enumerate(_matrices(shape, fields[_TOKENS].count)):
        tensor = cast(Any, RandomTensor(matrix, (shape.seed, number)))
        writer.add_tensor(matrix.name, tensor, raw_dtype=matrix.form.kind)
    for name, length, value in _norms(shape):
        writer.add_tensor(name, np.full(length, value, np.float32))
    return writer


def _add(writer: GGUFWriter, key: str, value: Value) -> None:
    """The same value again, unless it is an empty array, which the writer refuses."""
    if value.element is None:
        said = value.text() if value.kind == GGUFValueType.STRING else value.numbers()[0].item()
        writer.add_key_value(key, said, GGUFValueType(value.kind))
    elif items := value.texts() or value.numbers().tolist():
        writer.add_key_value(key, items, GGUFValueType.ARRAY, GGUFValueType(value.element))


def _matrices(shape: Shape, tokens: int) -> Iterator[Matrix]:
    """In the formats of llama.cpp's Q3_K_M (source: llama-quant.cpp)."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    yield Matrix("token_embd.weight", tokens, shape.width, Q6_K, EMBEDDING_SIZE)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield Matrix(f"{block}.attn_q.weight", queries, shape.width, Q3_K)
        yield Matrix(f"{block}.attn_k.weight", keys, shape.width, Q3_K)
        yield Matrix(f"{block}.attn_v.weight", keys, shape.width, Q5_K if layer < 2 else Q4_K)
        yield Matrix(f"{block}.attn_output.weight", shape.width, queries, Q4_K)
        yield Matrix(f"{block}.ffn_gate.weight", shape.feed_forward, shape.width, Q3_K)
        yield Matrix(f"{block}.ffn_up.weight", shape.feed_forward, shape.width, Q3_K)
        yield Matrix(
            f"{block}.ffn_down.weight", shape.width, shape.feed_forward, Q5_K if layer < shape.layers // 16 else Q4_K
        )


def _norms(shape: Shape) -> Iterator[tuple[str, int, float]]:
    """Name, length and value of the vectors."""
    yield "output_norm.weight", shape.width, OUTPUT_GAIN
    for layer in range(shape.layers):
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            yield f"blk.{layer}.{name}.weight", shape.width, 1.0
        yield f"blk.{layer}.attn_q_norm.weight", shape.head_size, ATTENTION_GAIN
        yield f"blk.{layer}.attn_k_norm.weight", shape.head_size, 1.0
