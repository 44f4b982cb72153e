"""Makes keys for `security.keys` and for clients. Used by the command `keys generate`.

FOLDER/server.key_secret, server.key      the pipeline's own pair
FOLDER/clients/NAME.key                   the public keys of those who may connect: security.clients
FOLDER/given/NAME/                        what the client of that name is given: its own pair, and server.key
"""

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Final

from zmq.auth import create_certificates

from pipeline.curve import OTHERS, SERVER, need_curve
from pipeline.errors import ConfigError, OrstateError

CLIENTS: Final = "clients"
GIVEN: Final = "given"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def generate(folder: Path, clients: list[str]) -> list[Path]:
    """Make the pipeline's pair, unless it is there, and a pair for each client; the folders that are new.

    Folders have mode 0700, files 0600. Raises ConfigError for a name or folder that cannot be used, and OrstateError
    if there is nothing to make or if it cannot be written.
    """
    need_curve()
    for name in clients:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--client {name!r}: give letters, digits, _ and -, at most 64")
        if (folder / GIVEN / name).exists() or (folder / CLIENTS / f"{name}.key").exists():
            raise OrstateError(
                f"{folder / GIVEN / name}: client {name} has keys already; delete them, or take another name"
            )
    has_pair = (folder / f"{SERVER}.key_secret").exists()
    if has_pair and not clients:
        raise OrstateError(f"{folder}: has the pipeline's keys already; give --client NAME for a client's")
    try:
        _private(folder)
        _private(folder / CLIENTS)
        if not has_pair:
            _pair(folder, SERVER)
        for name in clients:
            _client(folder, name)
    except OSError as error:
        raise OrstateError(
            f"{error.filename or folder}: cannot be written: {error.strerror}; give another folder"
        ) from error
    return [*([] if has_pair else [folder]), *(folder / GIVEN / name for name in clients)]


def _client(folder: Path, name: str) -> None:
    given = folder / GIVEN / name
    _private(folder / GIVEN)
    _private(given)
    public = _pair(given, "client")
    shutil.copy(folder / f"{SERVER}.key", given)
    part = folder / CLIENTS / f"{name}.part"
    shutil.copy(public, part)
    part.replace(folder / CLIENTS / f"{name}.key")  # last, and whole: a pipeline that runs may read it at once


def _pair(folder: Path, name: str) -> Path:
    """The public half of a new pair. Nobody else sees the file before its mode is set: its folder is private."""
    public, secret = map(Path, create_certificates(folder, name))
    for path in (public, secret):
        path.chmod(0o600)
    return public


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & OTHERS:
        raise ConfigError(f"{folder}: is open to others; run: chmod 700 {folder}, or give a new folder")
