"""A trained adapter (LoRA) as a GGUF file of llama.cpp's form: where it lies, how it is written and read, and whether
it fits the weights it was trained on. Used by the command line, the inference process and training.

To a matrix W of the weights, [out, in], the adapter adds `alpha / rank * B @ A`, with A [rank, in] and B [out, rank]
(source: llama-adapter.cpp).
"""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.gguf import ALIGNMENT, STRING, Gguf, GgufBroken, Tensor, Value, frame, padding, read, text_value
from models.manifest import FOLDER, Manifest
from models.store import MERGED, ModelBroken, ModelMissing, file_sha256, locate
from pipeline.errors import OrstateError

MOST_BYTES: Final = 10_000_000
BASE: Final = "orstate.adapter.base_sha256"

_FLOAT32, _F16 = 6, 1  # a kind of value; a kind of tensor
_ITEM = np.dtype(np.float16).itemsize
_HALF = re.compile(r"(.+\.weight)\.lora_([ab])")


class Pair(NamedTuple):
    """What is added to one matrix. `a`: [rank, in], `b`: [out, rank]."""

    a: npt.NDArray[np.float32]
    b: npt.NDArray[np.float32]


def adapters_folder() -> Path:
    """Where adapters lie: they are small, and come with the project."""
    return FOLDER / "adapters"


def adapter_path(manifest: Manifest) -> Path | None:
    """The file of the manifest's adapter; None if it has none.

    Raises ModelMissing if it is not there, and ModelBroken if it leads out of its folder.
    """
    if manifest.adapter is None:
        return None
    folder = adapters_folder()
    path = folder / manifest.adapter.file
    if not path.is_file():
        raise ModelMissing(f"{path}: the adapter of {manifest.name} is not there; install the project again")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelBroken(f"{path}: leads out of its folder, to {path.resolve()}; put the file itself there")
    return path


def verify_adapter(manifest: Manifest) -> str:
    """What was checked of the manifest's adapter and the weights that it is in, as one sentence.

    Raises ModelMissing and ModelBroken; without an adapter there is nothing to call this for.
    """
    path, told = adapter_path(manifest), manifest.adapter
    assert path is not None
    assert told is not None
    digest = file_sha256(path, None)
    if digest != told.sha256:
        raise ModelBroken(f"{path}: sha256 is {digest}, expected {told.sha256}; install the project again")
    merged = locate(manifest)
    try:
        adapter, weights = read(path), read(merged)
    except GgufBroken as error:
        raise ModelBroken(str(error)) from error
    if fault := misfit(adapter, weights, told.base_sha256):
        raise ModelBroken(f"{path}: does not fit {merged}: {fault}; train one on these weights")
    if (found := _text(weights, MERGED)) != digest:
        raise ModelBroken(f"{merged}: {MERGED} is {found!r}, expected {digest!r}; fetch {manifest.name} again")
    return f"{path}: sha256 is the expected one, {digest}; its {len(adapter.tensors) // 2} matrices are in {merged}"


def misfit(adapter: Gguf, weights: Gguf, base_sha256: str) -> str:
    """Why the two do not fit; "" if they do. `base_sha256`: of the weights that the adapter should be for."""
    for key, expected in {
        "general.type": "adapter",
        "adapter.type": "lora",
        "general.architecture": _text(weights, "general.architecture"),
        BASE: base_sha256,
    }.items():
        if (found := _text(adapter, key)) != expected:
            return f"{key} is {found!r}, expected {expected!r}"
    shapes = {tensor.name: tensor.shape for tensor in weights.tensors}
    halves = {tensor.name: tensor.shape for tensor in adapter.tensors}
    if not halves:
        return "it has no tensors"
    for name, shape in halves.items():
        found_name = _HALF.fullmatch(name)
        if found_name is None or found_name[1] not in shapes:
            return f"tensor {name} belongs to none of the weights"
        a, b = (halves.get(f"{found_name[1]}.lora_{half}", ()) for half in "ab")
        if len(a) != 2 or len(b) != 2:
            return f"tensor {name} has shape {shape} and no other half of two dimensions"
        if a[1] != b[0] or (a[0], b[1]) != shapes[found_name[1]]:
            return f"{found_name[1]} has shape {shapes[found_name[1]]}, its halves {a} and {b}"
    return ""


def _text(gguf: Gguf, key: str) -> str:
    return gguf.metadata[key].text() if key in gguf.metadata else ""


def write_adapter(
    path: Path, pairs: Mapping[str, Pair], *, architecture: str, alpha: float, notice: Mapping[str, str]
) -> None:
    """Write an adapter, in half precision. `pairs`: by the name of the matrix in the weights; `notice`: more metadata.

    The file is whole or not there. Raises OrstateError if it would be larger than MOST_BYTES, before it is written.
    """
    data = {
        f"{name}.lora_{half}": np.ascontiguousarray(matrix, dtype="<f2")
        for name, pair in pairs.items()
        for half, matrix in zip("ab", pair, strict=True)
    }
    metadata = {
        "general.architecture": text_value(architecture),
        "general.type": text_value("adapter"),
        "adapter.type": text_value("lora"),
        "adapter.lora.alpha": Value(_FLOAT32, struct.pack("<f", alpha)),
        **{key: text_value(text) for key, text in notice.items()},
    }
    tensors = [Tensor(name, each.shape[::-1], _F16, 0, each.nbytes) for name, each in data.items()]
    head = frame(3, metadata, tensors, ALIGNMENT)
    size = len(head) + sum(each.nbytes + padding(each.nbytes, ALIGNMENT) for each in data.values())
    if size > MOST_BYTES:
        raise OrstateError(f"{path}: the adapter would have {size:,} bytes, at most {MOST_BYTES:,}; lower the rank")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(head)
            for each in data.values():
                file.write(each.tobytes() + bytes(padding(each.nbytes, ALIGNMENT)))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OrstateError(f"{path}: cannot be written: {error.strerror}; see to it and try again") from error


def read_adapter(path: Path) -> tuple[dict[str, Pair], float]:
    """The pairs of an adapter in half precision, by the name of their matrix, and its alpha.

    Raises ModelBroken for a file that is no such adapter.
    """
    try:
        gguf = read(path)
        raw = path.read_bytes()
    except (GgufBroken, OSError) as error:
        raise ModelBroken(f"{path}: {error}; give an adapter") from error
    alpha = gguf.metadata.get("adapter.lora.alpha", Value(STRING, b"")).numbers()
    halves: dict[str, dict[str, npt.NDArray[np.float32]]] = {}
    for tensor in gguf.tensors:
        found = _HALF.fullmatch(tensor.name)
        count = int(np.prod(tensor.shape))
        if found is None or tensor.kind != _F16 or len(tensor.shape) != 2 or count * _ITEM > tensor.size:
            raise ModelBroken(f"{path}: tensor {tensor.name} of shape {tensor.shape} is no half of an adapter in f16")
        values = np.frombuffer(raw, "<f2", count, tensor.start).reshape(tensor.shape[::-1])
        halves.setdefault(found[1], {})[found[2]] = values.astype(np.float32)
    if len(alpha) != 1 or not halves or any(len(pair) != 2 for pair in halves.values()):
        raise ModelBroken(f"{path}: has no alpha, no tensors or one half only of a pair; give an adapter")
    return {name: Pair(pair["a"], pair["b"]) for name, pair in halves.items()}, float(alpha[0])
