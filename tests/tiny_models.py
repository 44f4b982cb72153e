"""Tiny language models with random weights, as GGUF files: what differs between architectures, in a megabyte or two.

They say nonsense, but follow from all of their prompt, so that a mistake in what is kept and computed shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, quants
from tiny_vocabularies import Vocabulary, gemma_vocabulary, llama_vocabulary, qwen_vocabulary

Floats = npt.NDArray[np.float32]
Tensors = Iterator[tuple[str, Floats]]

CONTEXT = 4096
ATTENTION_GAIN = 4.0  # peaks of attention, or every place would see the mean of all others
EMBEDDING_SIZE = 1 / 3  # of tied embeddings: with 1, each token would be followed by itself
SCORE_GAIN = 3.0  # standard deviation of the scores of a step


@dataclass(frozen=True)
class Shape:
    """How many of what; grouped-query attention if there are fewer heads for keys and values."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    width: int = 128
    head_size: int = 32
    feed_forward: int = 256
    sliding_window: int | None = None
    tied: bool = True  # the embedding is the output too
    weights: GGMLQuantizationType = GGMLQuantizationType.F16
    file_type: LlamaFileType = LlamaFileType.MOSTLY_F16


def write_gemma(
    path: Path, seed: int = 1, sliding_window: int = 64, *, exact: bool = False, template: str = ""
) -> Path:
    """Gemma 3: five of six layers see the last `sliding_window` tokens only; the embedding is the output too.

    Q8_0, or F16 if `exact`: then it hardly matters in which order sums are made. `template`: a chat template to bring.
    """
    shape = Shape(
        "gemma3",
        layers=7,  # the sixth sees all, and one behind it does not
        heads=4,
        kv_heads=1,
        sliding_window=sliding_window,
        weights=GGMLQuantizationType.F16 if exact else GGMLQuantizationType.Q8_0,
        file_type=LlamaFileType.MOSTLY_F16 if exact else LlamaFileType.MOSTLY_Q8_0,
    )
    return _write(path, shape, gemma_vocabulary(), seed, template)


def write_llama(path: Path, seed: int = 2) -> Path:
    """Llama, F16: every layer sees all; the output has weights of its own."""
    return _write(path, Shape("llama", layers=4, heads=4, kv_heads=2, tied=False), llama_vocabulary(), seed)


def write_qwen(path: Path, seed: int = 3) -> Path:
    """Qwen 2, F32: every layer sees all; queries, keys and values have biases; the embedding is the output too."""
    shape = Shape(
        "qwen2",
        layers=4,
        heads=4,
        kv_heads=2,
        weights=GGMLQuantizationType.F32,
        file_type=LlamaFileType.ALL_F32,
    )
    return _write(path, shape, qwen_vocabulary(), seed)


def _write(path: Path, shape: Shape, vocabulary: Vocabulary, seed: int, template: str = "") -> Path:
    writer = GGUFWriter(path, shape.architecture)
    writer.add_name(f"tiny {shape.architecture}, random weights")
    writer.add_file_type(shape.file_type)
    writer.add_block_count(shape.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e4)
    if shape.sliding_window is not None:
        writer.add_sliding_window(shape.sliding_window)
    vocabulary.add_to(writer)
    if template:
        writer.add_chat_template(template)
    for name, values in _tensors(shape, len(vocabulary.tokens), np.random.default_rng(seed)):
        kind = shape.weights if values.ndim == 2 else GGMLQuantizationType.F32
        writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(shape: Shape, tokens: int, random: np.random.Generator) -> Tensors:
    size = EMBEDDING_SIZE if shape.tied else 1.0
    yield "token_embd.weight", _matrix(random, tokens, shape.width, size)
    yield "output_norm.weight", _vector(shape.width, SCORE_GAIN / size)
    if not shape.tied:
        yield "output.weight", _matrix(random, tokens, shape.width)
    for layer in range(shape.layers):
        for name, values in _layer(shape, random):
            yield f"blk.{layer}.{name}", values


def _layer(shape: Shape, random: np.random.Generator) -> Tensors:
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    gemma = shape.architecture == "gemma3"
    yield "attn_norm.weight", _vector(shape.width)
    yield "attn_q.weight", _matrix(random, queries, shape.width, 1.0 if gemma else ATTENTION_GAIN)
    yield "attn_k.weight", _matrix(random, keys, shape.width)
    yield "attn_v.weight", _matrix(random, keys, shape.width)
    yield "attn_output.weight", _matrix(random, shape.width, queries)
    yield "ffn_norm.weight", _vector(shape.width)
    yield "ffn_gate.weight", _matrix(random, shape.feed_forward, shape.width)
    yield "ffn_up.weight", _matrix(random, shape.feed_forward, shape.width)
    yield "ffn_down.weight", _matrix(random, shape.width, shape.feed_forward)
    if gemma:  # queries are brought to one length, so that the gain stands in their norm
        yield "attn_q_norm.weight", _vector(shape.head_size, ATTENTION_GAIN)
        yield "attn_k_norm.weight", _vector(shape.head_size)
        yield "post_attention_norm.weight", _vector(shape.width)
        yield "post_ffw_norm.weight", _vector(shape.width)
    if shape.architecture == "qwen2":
        for name, length in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
            yield f"{name}.bias", random.normal(0.0, 0.5, length).astype(np.float32)


def _matrix(random: np.random.Generator, rows: int, columns: int, size: float = 1.0) -> Floats:
    """Rows of about that length: one of 1 keeps the size of what is multiplied by them."""
    return random.normal(0.0, size * columns**-0.5, (rows, columns)).astype(np.float32)


def _vector(length: int, value: float = 1.0) -> Floats:
    return np.full(length, value, np.float32)
