"""Adds an adapter to the weights that it was trained on, and writes them as a file of their own. Used by the command
line, and by the inference process for a model that it has to make first.

llama.cpp can load an adapter beside weights, and then computes both for every row. Added once, it costs nothing. A
matrix that is changed is written in 8 bits, because fewer would round away most of what is added; on processors that is
also the faster form. All else is copied as it is.

The same input gives the same file on every machine: products are summed in double precision, and rounded once.
"""

import mmap
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from models.adapter import Pair, misfit, read_adapter
from models.gguf import Gguf, GgufBroken, Tensor, Value, frame, padding, read, text_value
from models.store import MERGED, ModelBroken, file_sha256
from pipeline.errors import OrstateError
from pipeline.progress import Progress

_BASE: Final = "orstate.merge.base_sha256"
_NOTICE: Final = "orstate.merge.notice"
NOTICE: Final = (
    "This file was modified by orstate (models/merge.py): an adapter was added to matrices of its layers, which are in "
    f"8 bits. All else is as in the weights whose sha256 stands in {_BASE}; that of the adapter stands in {MERGED}."
)
_KIND: Final = GGMLQuantizationType.Q8_0


def merge(base: Path, adapter: Path, target: Path, progress: Progress) -> None:
    """Writes to `target` what `base` is with the adapter; the target is whole or not there.

    Raises ModelBroken if one of the files is broken or they do not fit each other, and OrstateError if one cannot be
    read or written.
    """
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        base_sha256, adapter_sha256 = file_sha256(base, None), file_sha256(adapter, None)
        weights = read(base)
        if fault := misfit(read(adapter), weights, base_sha256):
            raise ModelBroken(f"{adapter}: does not fit {base}: {fault}; train one on these weights")
        pairs, alpha = read_adapter(adapter)
        notice = {_NOTICE: NOTICE, _BASE: base_sha256, MERGED: adapter_sha256}
        metadata = {**weights.metadata, **{key: text_value(text) for key, text in notice.items()}}
        with base.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _write(part, weights, metadata, _Merged(data, pairs, alpha), progress)
        part.replace(target)
    except GgufBroken as error:
        raise ModelBroken(str(error)) from error
    except OSError as error:
        raise OrstateError(f"{base}: cannot be merged to {target}: {error}; see to it and try again") from error
    finally:
        part.unlink(missing_ok=True)


class _Merged:
    """The tensors of weights, those that an adapter changes in their new form."""

    def __init__(self, data: mmap.mmap, pairs: dict[str, Pair], alpha: float) -> None:
        self._data, self._pairs, self._alpha = data, pairs, alpha

    def form(self, tensor: Tensor) -> Tensor:
        """The tensor as it will be told."""
        if tensor.name not in self._pairs:
            return tensor
        width, rows = tensor.shape
        return replace(tensor, kind=int(_KIND), size=rows * _row_bytes(width, _KIND))

    def data(self, tensor: Tensor) -> bytes:
        """What the tensor as it was becomes. Raises ModelBroken if its kind of numbers is not known."""
        if tensor.name not in self._pairs:
            return self._data[tensor.start : tensor.start + tensor.size]
        pair = self._pairs[tensor.name]
        width, rows = tensor.shape
        try:
            kind = GGMLQuantizationType(tensor.kind)
            raw = np.frombuffer(self._data, np.uint8, rows * _row_bytes(width, kind), tensor.start)
            before = quants.dequantize(raw.reshape(rows, -1), kind).reshape(rows, width)
        except (ValueError, NotImplementedError) as error:
            raise ModelBroken(
                f"tensor {tensor.name}: numbers of kind {tensor.kind} cannot be read ({error}); use other weights"
            ) from error
        added = (self._alpha / len(pair.a)) * (pair.b.astype(np.float64) @ pair.a.astype(np.float64))
        return quants.quantize((before + added).astype(np.float32), _KIND).tobytes()


def _row_bytes(width: int, kind: GGMLQuantizationType) -> int:
    """Raises ValueError for a width that its blocks do not fill."""
    values, size = GGML_QUANT_SIZES[kind]
    if width % values:
        raise ValueError(f"rows of {width} are no multiple of {values}")
    return width // values * size


def _write(path: Path, weights: Gguf, metadata: dict[str, Value], merged: _Merged, progress: Progress) -> None:
    new = [merged.form(tensor) for tensor in weights.tensors]
    size, done = sum(tensor.size for tensor in new), 0
    with path.open("wb") as out:
        out.write(frame(weights.version, metadata, new, weights.alignment))
        for before, after in zip(weights.tensors, new, strict=True):
            written = out.write(merged.data(before))
            out.write(bytes(padding(written, weights.alignment)))
            done += written
            progress(done, size)
            assert written == after.size
