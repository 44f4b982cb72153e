"""Writes a GGUF file with a smaller vocabulary: without the tokens that ASCII text, or the words of given texts, do not
reach. Used by the command line, and by the inference process for a model that it has to make first.

Each step of an answer multiplies by a row for every token, and half of Gemma's 262,144 are pieces of other scripts.
Why texts are cut into the same pieces without them stands in models/vocabulary.py. Rows are copied as they are,
quantised or not; what was done is written into the metadata (`orstate.trim.*`). The same input gives the same file.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from models.gguf import Gguf, Tensor, Value, frame, numbers_value, padding, read, text_value, texts_value
from models.vocabulary import BYTE, MixedTokens, Vocabulary, needed_for_ascii, needed_for_words
from pipeline.errors import OrstateError
from pipeline.progress import Progress

DONE = "orstate.trim.vocabulary"
SOURCE = "orstate.trim.source_sha256"
NOTICE = (
    "This file was modified by orstate (models/trim.py): tokens of the vocabulary and their rows of the embedding "
    f"were removed. All else is as in the original, whose sha256 stands in {SOURCE}."
)
_TOKENS, _SCORES, _KINDS = (f"tokenizer.ggml.{name}" for name in ("tokens", "scores", "token_type"))
_STALE = ("tokenizer.huggingface.json",)  # the whole vocabulary in another form
_BY_TOKEN = ("token_embd.weight", "per_layer_token_embd.weight", "output.weight", "output.bias")
_TOKEN_IDS = re.compile(r"tokenizer\.ggml\.(\w+_token_ids?|suppress_tokens)|.+\.decoder_start_token_id")
_COPIED_AT_ONCE = 1 << 22  # bytes

_Ids = npt.NDArray[np.int64]


class TrimRefused(OrstateError):
    """That file cannot be trimmed; says why."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What became of a file: tokens before and after."""

    tokens: int
    kept: int


def trimmed_path(path: Path, words: bool = False) -> Path:
    """Where the trimmed copy of a file lies: beside it."""
    return path.with_name(f"{path.stem}-{'words' if words else 'ascii'}.gguf")


def trim(source: Path, target: Path, progress: Progress, words: Collection[str] = ()) -> Trimmed:
    """Writes to `target` what `source` is with a smaller vocabulary; the target is whole or not there.

    Tokens of letters stay only if they are reached by `words`, if any are given. Raises TrimRefused and GgufBroken,
    and OrstateError if the file cannot be read or written.
    """
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        old = read(source)
        _check(source, old)
        kept = _kept(source, old, words)
        with source.open("rb") as data:
            notice = _notice(hashlib.file_digest(data, "sha256").hexdigest(), words)
            with part.open("wb") as out:
                _write(old, data, kept, {**_metadata(old, kept), **notice}, out, progress)
        part.replace(target)
    except OSError as error:
        raise OrstateError(f"{source}: cannot be trimmed to {target}: {error}; see to it and try again") from error
    finally:
        part.unlink(missing_ok=True)
    return Trimmed(_count(old), len(kept))


def _count(old: Gguf) -> int:
    return old.metadata[_TOKENS].count


def _check(path: Path, old: Gguf) -> None:
    """Raises TrimRefused if the claims of models/vocabulary.py do not hold for that file, or part of it is missing."""
    if DONE in old.metadata:
        raise TrimRefused(f"{path}: is trimmed already ({old.metadata[DONE].text()}); give the original file")
    kind = old.metadata["tokenizer.ggml.model"].text() if "tokenizer.ggml.model" in old.metadata else "none"
    if kind != "llama":
        raise TrimRefused(
            f"{path}: the vocabulary is of kind {kind!r}; only SentencePiece ('llama') can be trimmed, "
            "because others do not join pieces by score alone"
        )
    if "split.count" in old.metadata and old.metadata["split.count"].numbers().sum() > 1:
        raise TrimRefused(f"{path}: is one of several files of a model; merge them into one first")
    counts = {key: old.metadata[key].count if key in old.metadata else 0 for key in (_TOKENS, _SCORES, _KINDS)}
    total = counts[_TOKENS]
    if not total or set(counts.values()) != {total}:
        raise TrimRefused(f"{path}: has {counts}; there must be one of each for every token")
    if np.count_nonzero(old.metadata[_KINDS].numbers() == BYTE) != 256:
        raise TrimRefused(f"{path}: has no tokens for the 256 bytes, into which other text would have to fall")
    for tensor in old.tensors:
        if (tensor.name in _BY_TOKEN) != (total in tensor.shape) or total in tensor.shape[:-1]:
            raise TrimRefused(
                f"{path}: tensor {tensor.name} has shape {tensor.shape} beside {total} tokens; "
                f"a row for each is known of {', '.join(_BY_TOKEN)} only"
            )
        if tensor.name in _BY_TOKEN and not _row_size(tensor, total):
            raise TrimRefused(f"{path}: tensor {tensor.name} has {tensor.size} bytes for {total} tokens; get it again")


def _kept(path: Path, old: Gguf, words: Collection[str]) -> _Ids:
    """The ids of the tokens that stay, in their order."""
    vocabulary = Vocabulary(
        old.metadata[_TOKENS].texts(), old.metadata[_KINDS].numbers(), old.metadata[_SCORES].numbers()
    )
    try:
        stay = needed_for_words(vocabulary, words) if words else needed_for_ascii(vocabulary)
    except MixedTokens as error:
        raise TrimRefused(f"{path}: {error}, so words cannot be taken by themselves; trim it to ASCII") from error
    for ids in _named_ids(old).values():
        stay[ids[(ids >= 0) & (ids < len(stay))]] = True
    return np.flatnonzero(stay)


def _named_ids(old: Gguf) -> dict[str, _Ids]:
    """The values of the metadata that are ids of tokens."""
    found = {key: value for key, value in old.metadata.items() if _TOKEN_IDS.fullmatch(key)}
    return {key: value.numbers().astype(np.int64) for key, value in found.items()}


def _metadata(old: Gguf, kept: _Ids) -> dict[str, Value]:
    """The metadata, with the kept tokens under their new ids."""
    total = _count(old)
    new = {key: value for key, value in old.metadata.items() if key not in _STALE}
    for key, value in new.items():
        if key.startswith("tokenizer.ggml.") and value.count == total:
            rows = value.texts()
            new[key] = texts_value([rows[at] for at in kept]) if rows else numbers_value(value, value.numbers()[kept])
        elif key.endswith(".vocab_size"):
            new[key] = numbers_value(value, np.array([len(kept)]))
    moved = np.zeros(total, np.int64)
    moved[kept] = np.arange(len(kept))
    for key, ids in _named_ids(old).items():
        inside = (ids >= 0) & (ids < total)  # -1 is "none"
        new[key] = numbers_value(old.metadata[key], np.where(inside, moved[np.where(inside, ids, 0)], ids))
    return new


def _notice(source_sha256: str, words: Collection[str]) -> dict[str, Value]:
    notice = {
        "orstate.trim.notice": NOTICE,
        DONE: "words" if words else "ascii",
        SOURCE: source_sha256,
    }
    if words:
        notice["orstate.trim.words_sha256"] = hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()
    return {key: text_value(text) for key, text in notice.items()}


def _write(
    old: Gguf, data: BinaryIO, kept: _Ids, metadata: dict[str, Value], out: BinaryIO, progress: Progress
) -> None:
    total = _count(old)
    new = [_shortened(tensor, total, len(kept)) for tensor in old.tensors]
    size = sum(tensor.size for tensor in new)
    out.write(frame(old.version, metadata, new, old.alignment))
    done = 0
    for before, after in zip(old.tensors, new, strict=True):
        for piece in _bytes(data, before) if after is before else _rows(data, before, total, kept):
            out.write(piece)
            done += len(piece)
            progress(done, size)
        out.write(bytes(padding(after.size, old.alignment)))


def _shortened(tensor: Tensor, total: int, kept: int) -> Tensor:
    if tensor.name not in _BY_TOKEN:
        return tensor
    return replace(tensor, shape=(*tensor.shape[:-1], kept), size=kept * _row_size(tensor, total))


def _row_size(tensor: Tensor, total: int) -> int:
    """Bytes of a token's row; the padding behind the tensor is less than a byte a row."""
    return tensor.size // total


def _bytes(data: BinaryIO, tensor: Tensor) -> Iterator[bytes]:
    data.seek(tensor.start)
    left = tensor.size
    while left:
        piece = data.read(min(left, _COPIED_AT_ONCE))
        if not piece:
            raise OSError(f"the file has become shorter while tensor {tensor.name} was copied")
        yield piece
        left -= len(piece)


def _rows(data: BinaryIO, tensor: Tensor, total: int, kept: _Ids) -> Iterator[bytes]:
    width = _row_size(tensor, total)
    rows = np.memmap(data, np.uint8, "r", tensor.start, (total, width))
    many = max(1, _COPIED_AT_ONCE // width)
    for at in range(0, len(kept), many):
        yield rows[kept[at : at + many]].tobytes()
