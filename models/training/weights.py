"""The weights of a Gemma 3 GGUF file as tensors, and the numbers that its layers are made by. Training only."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import gguf.quants
import numpy as np
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from models.gguf import Gguf, GgufBroken, read
from pipeline.errors import OrstateError

_WINDOW_BASE: Final = 10_000.0  # where the file does not say (source: llama.cpp, gemma3)
_PERIOD: Final = 6  # of so many layers, the last sees all (source: as above)


class Shape(NamedTuple):
    """How many of what. `base`: of the rotation by position; `window`: tokens that most layers see."""

    layers: int
    heads: int
    head_size: int
    width: int
    epsilon: float
    base: float
    window_base: float
    window: int

    def has_window(self, layer: int) -> bool:
        """Whether that layer, counted from 0, sees a window only."""
        return (layer + 1) % _PERIOD != 0


def load(path: Path) -> tuple[Shape, dict[str, Tensor]]:
    """The tensors of the file by their names there, in single precision: [out, in]. Raises OrstateError."""
    try:
        file = read(path)
    except GgufBroken as error:
        raise OrstateError(str(error)) from error
    shape = _shape(path, file)
    raw = np.memmap(path, np.uint8, "r")
    weights = {}
    for tensor in file.tensors:
        kind, rows = GGMLQuantizationType(tensor.kind), tensor.shape[::-1]
        packed = gguf.quants.quant_shape_to_byte_shape(rows, kind)
        data = raw[tensor.start : tensor.start + int(np.prod(packed))].reshape(packed)
        weights[tensor.name] = torch.from_numpy(gguf.quants.dequantize(data, kind).astype(np.float32).reshape(rows))
    return shape, weights


def _shape(path: Path, file: Gguf) -> Shape:
    def number(key: str, default: float | None = None) -> Any:
        value = file.metadata.get(f"gemma3.{key}")
        if value is None and default is None:
            raise OrstateError(f"{path}: gemma3.{key} is missing; training needs it")
        return default if value is None else value.numbers()[0].item()

    name = file.metadata["general.architecture"].text() if "general.architecture" in file.metadata else "none"
    if name != "gemma3":
        raise OrstateError(f"{path}: the architecture is {name!r}; only gemma3 can be trained")
    if (shared := number("attention.head_count_kv")) != 1:
        raise OrstateError(f"{path}: has {shared} heads of keys and values; training knows models with one")
    if any(key.startswith("gemma3.rope.scaling") for key in file.metadata):
        raise OrstateError(f"{path}: scales the positions; training does not know how")
    return Shape(
        layers=number("block_count"),
        heads=number("attention.head_count"),
        head_size=number("attention.key_length"),
        width=number("embedding_length"),
        epsilon=number("attention.layer_norm_rms_epsilon"),
        base=number("rope.freq_base"),
        window_base=number("rope.freq_base_swa", _WINDOW_BASE),
        window=number("attention.sliding_window"),
    )
