"""Reads the frame of a GGUF file, its metadata and where each tensor lies, and writes one. Used by the command line,
and by the inference process for a model that it has to make first.

A value stays the bytes that it is in the file, so what is not changed is copied bit by bit, and the same input gives
the same file whatever is installed. (The package `gguf` makes objects of every element of an array: 13 s and 740 MB
for a vocabulary of 262,144 tokens, where this takes 0.1 s.) Source of the format: docs/gguf.md of ggml.
"""

import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import OrstateError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32  # of a tensor's data, unless the metadata says otherwise
UINT32, STRING, ARRAY = 4, 8, 9
_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_MOST_DIMENSIONS = 4
_MOST_ALIGNMENT = 1 << 16  # the largest page there is: what is written is padded by as much


class GgufBroken(OrstateError):
    """The file is no GGUF file, or ends before its last tensor begins; says where that was found."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the metadata. `kind`: its type in the file; `raw`: its bytes behind the type."""

    kind: int
    raw: bytes

    @property
    def element(self) -> int | None:
        """The kind of an array's elements, None for other values."""
        return int.from_bytes(self.raw[:4], "little") if self.kind == ARRAY else None

    @property
    def count(self) -> int:
        """Elements of an array, 0 for other values."""
        return int.from_bytes(self.raw[4:12], "little") if self.kind == ARRAY else 0

    def text(self) -> str:
        return self.raw[8:].decode(errors="replace") if self.kind == STRING else ""

    def texts(self) -> list[bytes]:
        """The elements of an array of strings; their encoding is not looked at."""
        if self.element != STRING:
            return []
        found, at = [], 12
        for _ in range(self.count):
            (size,) = struct.unpack_from("<Q", self.raw, at)
            found.append(self.raw[at + 8 : at + 8 + size])
            at += 8 + size
        return found

    def numbers(self) -> npt.NDArray[Any]:
        """The elements of an array of numbers, or the number as an array of one; empty for other values."""
        kind = self.kind if self.element is None else self.element
        if kind not in _NUMBERS:
            return np.empty(0)
        return np.frombuffer(self.raw, _NUMBERS[kind], offset=12 if self.kind == ARRAY else 0)


@dataclass(frozen=True, slots=True)
class Tensor:
    """`shape` as the file says it, the rows last; `start` and `size` in bytes, the padding that follows counted."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Gguf:
    """A file's frame. `tensors` stand in the order of their data."""

    version: int
    metadata: Mapping[str, Value]
    tensors: Sequence[Tensor]
    alignment: int


def text_value(text: str) -> Value:
    return Value(STRING, _text(text.encode()))


def texts_value(texts: Sequence[bytes]) -> Value:
    return Value(ARRAY, struct.pack("<IQ", STRING, len(texts)) + b"".join(map(_text, texts)))


def numbers_value(like: Value, numbers: npt.NDArray[Any]) -> Value:
    """The numbers as a value of the kind of `like`: an array, or a single number."""
    if like.element is None:
        return Value(like.kind, numbers.astype(_NUMBERS[like.kind]).tobytes())
    head = struct.pack("<IQ", like.element, len(numbers))
    return Value(ARRAY, head + numbers.astype(_NUMBERS[like.element]).tobytes())


def read(path: Path) -> Gguf:
    """The frame of that file. Raises GgufBroken, and OSError if it cannot be read."""
    with path.open("rb") as file:
        if (found := file.read(len(MAGIC))) != MAGIC:
            raise GgufBroken(f"{path}: begins with {found!r}, a GGUF file with {MAGIC!r}; give another file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Cursor(path, data, len(MAGIC)))


def frame(version: int, metadata: Mapping[str, Value], tensors: Sequence[Tensor], alignment: int) -> bytes:
    """What a file begins with; the tensors' data follow in that order, each padded. Their `start` is not looked at."""
    parts = [MAGIC, struct.pack("<IQQ", version, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_text(key.encode()), struct.pack("<I", value.kind), value.raw]
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts += [_text(tensor.name.encode()), shape, struct.pack("<IQ", tensor.kind, offset)]
        offset += tensor.size + padding(tensor.size, alignment)
    head = b"".join(parts)
    return head + bytes(padding(len(head), alignment))


def padding(size: int, alignment: int) -> int:
    """How many bytes to the next multiple of `alignment`."""
    return -size % alignment


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


class _Cursor:
    def __init__(self, path: Path, data: mmap.mmap, at: int) -> None:
        self.path, self.data, self.at = path, data, at

    def broken(self, what: str) -> GgufBroken:
        return GgufBroken(f"{self.path}: {what} at byte {self.at} of {len(self.data)}; get the file again")

    def skip(self, size: int) -> None:
        if size > len(self.data) - self.at:
            raise self.broken(f"ends within {size} bytes that begin")
        self.at += size

    def take(self, size: int) -> bytes:
        start = self.at
        self.skip(size)
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self) -> str:
        try:
            return self.take(self.number(8)).decode()
        except UnicodeDecodeError as error:
            raise self.broken(f"a name that is not UTF-8 ({error}) ends") from error

    def value(self) -> Value:
        kind = self.number(4)
        start = self.at
        if kind == ARRAY:
            element, count = self.number(4), self.number(8)
            self._skip(element, count)
        else:
            self._skip(kind, 1)
        return Value(kind, self.data[start : self.at])

    def _skip(self, kind: int, count: int) -> None:
        if kind in _NUMBERS:
            self.skip(count * np.dtype(_NUMBERS[kind]).itemsize)
        elif kind == STRING:
            for _ in range(count):
                self.skip(self.number(8))
        else:
            raise self.broken(f"value of unknown kind {kind}")


def _read(cursor: _Cursor) -> Gguf:
    version = cursor.number(4)
    if version not in VERSIONS:
        raise GgufBroken(f"{cursor.path}: GGUF version {version}, known are {VERSIONS}; give another file")
    tensor_count, value_count = cursor.number(8), cursor.number(8)
    metadata: dict[str, Value] = {}
    for _ in range(value_count):
        key = cursor.text()
        metadata[key] = cursor.value()
    listed = sorted(_tensor_info(cursor) for _ in range(tensor_count))
    alignment = ALIGNMENT
    if "general.alignment" in metadata:
        told = metadata["general.alignment"]
        alignment = int.from_bytes(told.raw, "little") if told.kind == UINT32 else 0
        if not 0 < alignment <= _MOST_ALIGNMENT:
            raise cursor.broken(f"alignment {alignment}, told before the data")
    begin = cursor.at + padding(cursor.at, alignment)
    ends = [*(begin + offset for offset, *_ in listed[1:]), len(cursor.data)][: len(listed)]
    tensors = []
    for (offset, name, shape, kind), end in zip(listed, ends, strict=True):
        cursor.at = begin + offset
        if cursor.at >= end or offset % alignment:
            raise cursor.broken(f"no room for tensor {name}")
        tensors.append(Tensor(name, shape, kind, cursor.at, end - cursor.at))
    return Gguf(version, metadata, tensors, alignment)


def _tensor_info(cursor: _Cursor) -> tuple[int, str, tuple[int, ...], int]:
    """Where its data lie behind the frame, name, shape, kind."""
    name, dimensions = cursor.text(), cursor.number(4)
    if dimensions > _MOST_DIMENSIONS:
        raise cursor.broken(f"tensor {name} of {dimensions} dimensions")
    shape = tuple(cursor.number(8) for _ in range(dimensions))
    kind, offset = cursor.number(4), cursor.number(8)
    return offset, name, shape, kind
