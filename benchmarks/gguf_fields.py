"""The metadata of a GGUF file: tokenizer, sizes, names. Used by benchmarks that write a file after another's model.

`gguf.GGUFReader` makes several arrays for each token: 12 s and 740 MB for Gemma's 262,144. This takes under a
second, and reads nothing behind the metadata. Source of the form: the GGUF specification of ggml (docs/gguf.md).
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf import GGUFValueType, GGUFWriter

from pipeline.errors import OrstateError

_HEADER = struct.Struct("<4sIQQ")  # magic, version, tensors, fields
_VERSIONS = (2, 3)  # 1 had 32-bit lengths; a file of the other byte order has a version beyond these
_NUMBERS: dict[GGUFValueType, np.dtype[Any]] = {
    GGUFValueType.UINT8: np.dtype("<u1"),
    GGUFValueType.INT8: np.dtype("<i1"),
    GGUFValueType.UINT16: np.dtype("<u2"),
    GGUFValueType.INT16: np.dtype("<i2"),
    GGUFValueType.UINT32: np.dtype("<u4"),
    GGUFValueType.INT32: np.dtype("<i4"),
    GGUFValueType.FLOAT32: np.dtype("<f4"),
    GGUFValueType.BOOL: np.dtype("?"),
    GGUFValueType.UINT64: np.dtype("<u8"),
    GGUFValueType.INT64: np.dtype("<i8"),
    GGUFValueType.FLOAT64: np.dtype("<f8"),
}


@dataclass(frozen=True)
class Field:
    """One value. Strings are bytes as they stand in the file, which need not be UTF-8; an array is a list."""

    value: Any
    kind: GGUFValueType
    item: GGUFValueType | None = None  # of an array

    def add_to(self, writer: GGUFWriter, key: str) -> None:
        """Have it written again, the same, unless it is an empty array, which the writer refuses."""
        if self.kind is not GGUFValueType.ARRAY or self.value:
            writer.add_key_value(key, self.value, self.kind, self.item)


def read_fields(path: Path) -> dict[str, Field]:
    """The fields by key, in the order of the file.

    Raises OrstateError if there is no such file, or it is no whole GGUF file of version 2 or 3, little-endian.
    """
    try:
        with path.open("rb") as file:
            magic, version, _, count = _HEADER.unpack(_take(file, _HEADER.size))
            if magic != b"GGUF" or version not in _VERSIONS:
                raise ValueError(f"begins with {magic!r}, version {version}; expected b'GGUF', version 2 or 3")
            return dict(_entry(file) for _ in range(count))
    except OSError as error:
        raise OrstateError(f"{path}: cannot be read: {error.strerror}; give a GGUF file that is there") from error
    except ValueError as error:
        raise OrstateError(f"{path}: no metadata can be read: {error}; give a whole GGUF file") from error


def _entry(file: BinaryIO) -> tuple[str, Field]:
    key = _text(file).decode()
    kind = _kind(file)
    if kind is not GGUFValueType.ARRAY:
        return key, Field(_values(file, kind, 1)[0], kind)
    item = _kind(file)
    return key, Field(_values(file, item, _number(file, 8)), kind, item)


def _values(file: BinaryIO, kind: GGUFValueType, count: int) -> list[Any]:
    if kind is GGUFValueType.STRING:
        return [_text(file) for _ in range(count)]
    if kind not in _NUMBERS:
        raise ValueError(f"an array of arrays at byte {file.tell()}, which models do not have")
    number = _NUMBERS[kind]
    values: list[Any] = np.frombuffer(_take(file, count * number.itemsize), number).tolist()
    return values


def _kind(file: BinaryIO) -> GGUFValueType:
    return GGUFValueType(_number(file, 4))


def _text(file: BinaryIO) -> bytes:
    return _take(file, _number(file, 8))


def _number(file: BinaryIO, size: int) -> int:
    return int.from_bytes(_take(file, size), "little")


def _take(file: BinaryIO, size: int) -> bytes:
    if size > 2**31:
        raise ValueError(f"a length of {size} at byte {file.tell()}")
    if len(taken := file.read(size)) < size:
        raise ValueError(f"it ends at byte {file.tell()}, in the middle of a value")
    return taken
