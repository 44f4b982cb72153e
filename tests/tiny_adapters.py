"""Adapters with random weights for tiny models."""

import hashlib
import re
from pathlib import Path

import numpy as np

from models.adapter import BASE, Pair, write_adapter
from models.gguf import read
from models.manifest import Adapter, Licence, Manifest, MergedSource
from models.merge import merge
from pipeline.progress import silent

ADAPTED = re.compile(r"blk\.\d+\.(attn_(q|k|v|output)|ffn_(gate|up|down))\.weight")
RANK, ALPHA = 4, 8.0


def random_pairs(base: Path, seed: int = 5, size: float = 1.0) -> dict[str, Pair]:
    """A pair for each matrix of the layers; `size`: about how long what it adds is beside its input."""
    random = np.random.default_rng(seed)
    pairs = {}
    for tensor in read(base).tensors:
        if ADAPTED.fullmatch(tensor.name):
            width, rows = tensor.shape
            a = random.normal(0.0, width**-0.5, (RANK, width)).astype(np.float32)
            b = random.normal(0.0, size * RANK**0.5 / ALPHA / 2, (rows, RANK)).astype(np.float32)
            pairs[tensor.name] = Pair(a, b)
    return pairs


def write_random_adapter(path: Path, base: Path, seed: int = 5, size: float = 1.0) -> Path:
    """An adapter that fits `base` and changes what it says."""
    notice = {BASE: sha256(base)}
    write_adapter(path, random_pairs(base, seed, size), architecture="gemma3", alpha=ALPHA, notice=notice)
    return path


def taught(base: Path, adapter: Path) -> Manifest:
    """The manifest of a model with that adapter, as it is now; its weights are made beside the adapter."""
    merged = adapter.with_suffix(".merged.gguf")
    merge(base, adapter, merged, silent)
    return Manifest(
        name="tiny-taught",
        label="tiny",
        file=str(merged),
        prompt="completion",
        examples="none",
        context=4096,
        sha256=sha256(merged),
        source=MergedSource(model="tiny"),
        licence=Licence(name="none", terms="none", notice="none"),
        adapter=Adapter(
            file=adapter.name,
            sha256=sha256(adapter),
            base_sha256=sha256(base),
            data_seed=1,
            settings=64 * "0",
            scores={"exact": 0.5},
            notice="modified",
        ),
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
