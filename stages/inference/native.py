"""llama.cpp's own calls, all of them, as two plain objects: a model, and a context that decodes rows of it.
Used by the inference process, and by `models warm`.

Arrays that C reads or writes live as long as the object that made them. Nothing here knows of jobs or grammars.
"""

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import psutil
from llguidance import LLTokenizer

from pipeline.errors import OrstateError
from stages.inference.library import allows_repacking
from stages.inference.library import low_level as c

Logits = npt.NDArray[np.float32]

Cells = Literal["f16", "bf16"]

_CELLS: Final[dict[Cells, int]] = {"f16": 1, "bf16": 30}  # of ggml_type
_NO_ROOM = 1  # of llama_decode
_LOG_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_complaints: deque[str] = deque(maxlen=5)


class NativeError(OrstateError):
    """llama.cpp refused; says what, and what it complained of."""


class NoRoom(NativeError):
    """The cache has no room for these rows."""


class Row(NamedTuple):
    """One token to compute. `wanted`: its logits are read afterwards."""

    token: int
    position: int
    sequence: int
    wanted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a context's cache is laid out and computed.

    `cells`: tokens that the whole cache holds. `unified`: all sequences share them, and what two sequences have
    in common is there once; else each sequence has `cells / sequences` of its own. `kind`: the numbers in a cell.
    `rows`: most rows of a step. `back`: by how many tokens a sequence can be cut back at least, where layers see a
    sliding window; those keep no more cells than that takes, which each row would pass over. None: they keep all.
    """

    cells: int
    sequences: int
    rows: int
    threads: int
    unified: bool = True
    flash_attention: bool = True
    kind: Cells = "f16"
    back: int | None = None


@c.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_errors(level: int, text: bytes, _: Any) -> None:
    if level == _LOG_ERROR:
        _complaints.append(text.decode(errors="replace").strip())


class Model:
    """The weights of a GGUF file, mapped into memory, and its vocabulary."""

    def __init__(self, path: Path) -> None:
        """Raises NativeError if the file cannot be loaded."""
        _complaints.clear()
        c.llama_log_set(_keep_errors, None)
        c.llama_backend_init()
        parameters = c.llama_model_default_params()
        parameters.load_mode = c.LLAMA_LOAD_MODE_MMAP
        parameters.use_extra_bufts = allows_repacking()
        self.handle = c.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.handle:
            raise NativeError(f"{path}: cannot be loaded: {_complaint()}")
        self.bytes: int = c.llama_model_size(self.handle)
        self._vocabulary = c.llama_model_get_vocab(self.handle)
        self.tokens: int = c.llama_vocab_n_tokens(self._vocabulary)
        self._buffer: Any = ctypes.create_string_buffer(1024)
        first = c.llama_vocab_bos(self._vocabulary)
        self.begin = [first] if first >= 0 and c.llama_vocab_get_add_bos(self._vocabulary) else []
        self.cuts_back = not (c.llama_model_is_recurrent(self.handle) or c.llama_model_is_hybrid(self.handle))

    def tokenize(self, text: str, special: bool) -> list[int]:
        """The tokens of a text; control tokens are read in it only if `special`."""
        raw = text.encode()
        room = len(raw) + 8
        found = (c.llama_token * room)()
        count = c.llama_tokenize(self._vocabulary, raw, len(raw), found, room, False, special)
        if count < 0:
            raise NativeError(f"a text of {len(raw):,} bytes takes {-count:,} tokens, more than its bytes")
        return found[:count]

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""
        return self._piece(token, False)

    def grammar_tokenizer(self) -> LLTokenizer:
        """llguidance's view of the vocabulary; takes about 1.2 s for 262,144 tokens.

        llguidance has a function for it, which needs twice the time because it asks by deprecated names. Its marks
        are the same: 0xFF before what is a control token, or is written like one.
        """
        marked = c.LLAMA_TOKEN_ATTR_CONTROL
        pieces = []
        for token in range(self.tokens):
            piece, kind = self._piece(token, True), c.llama_vocab_get_attr(self._vocabulary, token)
            written_so = kind & c.LLAMA_TOKEN_ATTR_USER_DEFINED and piece[:1] == b"<" and piece[-1:] == b">"
            pieces.append(b"\xff" + piece if kind & marked or written_so else piece)
        made: LLTokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]  # missing in its stubs
            tokens=pieces,
            vocab_ptr=self._vocabulary,
            tokenize_fptr=ctypes.cast(c._lib.llama_tokenize, ctypes.c_void_p).value,
            eos_token=c.llama_vocab_eos(self._vocabulary),
            slices=None,
        )
        return made

    def _piece(self, token: int, special: bool) -> bytes:
        length = c.llama_token_to_piece(self._vocabulary, token, self._buffer, len(self._buffer), 0, special)
        return bytes(self._buffer[: max(0, length)])

    def close(self) -> None:
        """Give back the memory. Once more is no error."""
        if self.handle:
            c.llama_model_free(self.handle)
            self.handle = None


class Context:
    """The cache of one model, and the computing of rows into it."""

    def __init__(self, model: Model, layout: Layout) -> None:
        """Raises NativeError if there is not enough memory, or the model cannot be laid out so."""
        self.layout = layout
        self.vocabulary = model.tokens
        parameters = c.llama_context_default_params()
        parameters.n_ctx = layout.cells
        # The window's layers have so many cells more than it is long. Twice, because cells that were given up are
        # not the next to be written if they lie around the end of the cache
        parameters.n_batch = parameters.n_ubatch = max(layout.rows, 2 * (layout.back or 0))
        parameters.n_seq_max = layout.sequences
        parameters.n_threads = parameters.n_threads_batch = layout.threads
        parameters.kv_unified = layout.unified
        parameters.swa_full = layout.back is None
        self._window = 0 if layout.back is None else c.llama_model_n_swa(model.handle)
        parameters.type_k = parameters.type_v = _CELLS[layout.kind]
        parameters.flash_attn_type = (
            c.LLAMA_FLASH_ATTN_TYPE_ENABLED if layout.flash_attention else c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        parameters.no_perf = True
        _complaints.clear()
        before = psutil.Process().memory_info().rss
        self._handle = c.llama_init_from_model(model.handle, parameters)
        self.bytes = max(0, psutil.Process().memory_info().rss - before)
        if not self._handle:
            raise NativeError(f"no context of {layout.cells:,} cells: {_complaint()}")
        self._memory = c.llama_get_memory(self._handle)
        self._batch, self._columns = _batch(layout.rows)

    def decode(self, rows: Sequence[Row]) -> None:
        """Compute rows, at most `layout.rows`; those of a sequence stand in the order of their positions.

        Raises NoRoom, after which nothing has changed, and NativeError, after which the sequences in `rows` are not
        to be relied on.
        """
        count = len(rows)
        token, position, sequence, wanted = self._columns
        token[:count], position[:count], sequence[:count], wanted[:count] = zip(*rows, strict=True)
        self._batch.n_tokens = count
        _complaints.clear()
        status = c.llama_decode(self._handle, self._batch)
        if status == _NO_ROOM:
            raise NoRoom(f"{count} rows find no room in a cache of {self.layout.cells:,} cells")
        if status != 0:
            raise NativeError(f"computing {count} rows failed with status {status}: {_complaint()}")

    def rehearse(self, token: int) -> None:
        """Compute one row in an empty cache and forget it: no question pays for touching the weights first.

        Raises NativeError, as `decode` does.
        """
        self.decode([Row(token, 0, 0, True)])
        c.llama_memory_clear(self._memory, False)

    def logits(self, row: int) -> Logits:
        """Those of a wanted row of the last decode, shape (vocabulary,); valid until the next."""
        pointer = c.llama_get_logits_ith(self._handle, row)
        if not pointer:
            raise NativeError(f"row {row} has no logits: {_complaint()}")
        return np.ctypeslib.as_array(pointer, (self.vocabulary,))

    def cut_back(self, sequence: int, length: int) -> bool:
        """Forget all but the first `length` tokens of a sequence.

        False, after which nothing has changed, if this model cannot forget only a part, or if a layer's sliding window
        before `length` is no longer there.
        """
        if length and self._window and self._first_kept(sequence) > max(0, length - self._window):
            return False
        return bool(c.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def _first_kept(self, sequence: int) -> int:
        """The first position of which every layer has its cell; -1 if the sequence is empty."""
        return int(c.llama_memory_seq_pos_min(self._memory, sequence))

    def copy(self, source: int, target: int, length: int) -> None:
        """Let an empty sequence begin with the first `length` tokens of another."""
        end = length if self.layout.unified else -1  # sequences with cells of their own are copied whole
        c.llama_memory_seq_cp(self._memory, source, target, -1, end)
        if not self.layout.unified:
            self.cut_back(target, length)

    def save(self, sequence: int) -> npt.NDArray[np.uint8]:
        """What was computed of a sequence, as bytes for `restore`."""
        size = c.llama_state_seq_get_size(self._handle, sequence)
        state = np.empty(size, dtype=np.uint8)
        if c.llama_state_seq_get_data(self._handle, _bytes(state), size, sequence) != size:
            raise NativeError(f"the state of sequence {sequence} cannot be read: {_complaint()}")
        return state

    def restore(self, sequence: int, state: npt.NDArray[np.uint8]) -> bool:
        """Put saved bytes into an empty sequence; False if they do not fit this context."""
        read = c.llama_state_seq_set_data(self._handle, _bytes(state), len(state), sequence)  # 0 for a failure
        return bool(0 < read == len(state))

    def close(self) -> None:
        """Give back the memory. Once more is no error."""
        if self._handle:
            c.llama_free(self._handle)
            self._handle = None


def fastest_cells() -> Cells:
    """bf16 where the processor multiplies it: every row attends to every cell, and f16 is widened before."""
    return "bf16" if b"AVX512_BF16 = 1" in c.llama_print_system_info() else "f16"


def engine_version() -> str:
    """What computed a saved state: another engine's may mean something else."""
    import llama_cpp

    return f"{llama_cpp.__version__} {c.llama_print_system_info().decode()}"


def _batch(rows: int) -> tuple[Any, tuple[npt.NDArray[Any], ...]]:
    """llama.cpp's batch over arrays of ours: tokens, positions, sequences, and whether the logits are wanted."""
    token, position, sequence = (np.zeros(rows, dtype=np.int32) for _ in range(3))
    wanted = np.zeros(rows, dtype=np.int8)
    ones = np.ones(rows, dtype=np.int32)
    width = sequence.itemsize
    places = np.array([sequence.ctypes.data + width * row for row in range(rows)], dtype=np.uintp)
    batch: Any = c.llama_batch()
    number = ctypes.POINTER(ctypes.c_int32)
    batch.token = ctypes.cast(token.ctypes.data, number)
    batch.pos = ctypes.cast(position.ctypes.data, number)
    batch.n_seq_id = ctypes.cast(ones.ctypes.data, number)
    batch.seq_id = ctypes.cast(places.ctypes.data, ctypes.POINTER(number))
    batch.logits = ctypes.cast(wanted.ctypes.data, ctypes.POINTER(ctypes.c_int8))
    batch.ours = (ones, places)  # C holds addresses only
    return batch, (token, position, sequence, wanted)


def _bytes(array: npt.NDArray[np.uint8]) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_uint8))


def _complaint() -> str:
    return "; ".join(_complaints) or "llama.cpp does not say why"
