"""Computed prefixes on disk, so that a new process need not compute them. Used by the inference process.

A file is named by all that its content depends on: model, engine, tokens, and the layout of the cache. It holds
[magic][sha256 of the state][state]. Only this user can read it, and what is damaged is not used.
"""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from stages.inference.shelf import Saved

MAGIC: Final = b"ORSTATE1"
_HEAD: Final = len(MAGIC) + 32
_OTHERS_WRITE: Final = 0o022


class PrefixFiles:
    """The prefixes of one model in one folder."""

    def __init__(self, folder: Path, key: str) -> None:
        """`key`: all that a state depends on but its tokens."""
        self._folder = folder
        self._key = key
        self.loaded = 0
        self.saved = 0

    def path(self, tokens: list[int]) -> Path:
        """Where the prefix of those tokens lies, or would lie."""
        digest = hashlib.sha256(self._key.encode())
        digest.update(np.asarray(tokens, dtype=np.int32).tobytes())
        return self._folder / f"{digest.hexdigest()[:32]}.prefix"

    def load(self, tokens: list[int]) -> Saved | None:
        """A saved prefix. None, with a warning, for a file that is not what it should be; None if there is none."""
        path = self.path(tokens)
        try:
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
                status = os.fstat(file.fileno())
                if status.st_uid != os.getuid() or status.st_mode & _OTHERS_WRITE:
                    _warn(path, "is not ours alone, and the engine would trust what is in it")
                    return None
                # Not np.fromfile: it asks for large pages, which took longer to get than the file to read
                raw = np.frombuffer(file.read(), dtype=np.uint8)
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(path, f"cannot be read: {error.strerror}")
            return None
        head, state = raw[:_HEAD].tobytes(), raw[_HEAD:]
        if not head.startswith(MAGIC) or head[len(MAGIC) :] != hashlib.sha256(state.data).digest():
            _warn(path, "is damaged or no saved prefix")
            return None
        self.loaded += 1
        return Saved(list(tokens), state)

    def save(self, saved: Saved) -> None:
        """Keep what was computed of a prefix; a folder that cannot be written is a warning."""
        path = self.path(saved.tokens)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(MAGIC + hashlib.sha256(saved.state.data).digest())
                file.write(saved.state.data)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            _warn(path, f"cannot be written: {error.strerror}")
            return
        self.saved += 1


def _warn(path: Path, fault: str) -> None:
    print(f"warning: {path}: {fault}; the prefix is computed anew", file=sys.stderr)
