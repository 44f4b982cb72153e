"""The run directory of an instance: its lock, its ipc endpoints, the logs of its stages. The supervisor owns it."""

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from pipeline.config import Config
from pipeline.control import STAGES
from pipeline.curve import OTHERS_WRITE
from pipeline.endpoints import MAX_IPC_PATH
from pipeline.errors import OrstateError

LOCK = "lock"


def run_directory(config: Config) -> Path:
    """Where the instance of this configuration lives."""
    if config.run.directory:
        return Path(config.run.directory).expanduser().absolute()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(runtime) / "orstate" if runtime else Path(tempfile.gettempdir()) / f"orstate-{os.getuid()}"
    return parent / config.run.instance


class RunDirectory:
    """A claimed run directory, mode 0700. One process holds its lock; a second one is told who does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        longest = f"{path}/completions"
        if len(longest.encode()) > MAX_IPC_PATH:
            raise OrstateError(f"{path}: too long for ipc sockets ({MAX_IPC_PATH} bytes); set a shorter run.directory")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if why := _replaceable(path.parent):
                raise OrstateError(f"{path.parent}: {why}; set run.directory to a folder of yours")
            path.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise OrstateError(f"{path}: cannot be made: {error.strerror}; set another run.directory") from error
        if path.stat().st_uid != os.getuid():
            raise OrstateError(f"{path}: belongs to another user; set run.directory to a folder of yours")
        if strange := sorted(entry.name for entry in path.iterdir() if not _of_an_instance(entry)):
            raise OrstateError(
                f"{path}: has {strange[0]!r} in it, and a run directory is emptied; set run.directory to a new folder"
            )
        path.chmod(0o700)
        self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._lock, 20).decode() or "?"
            os.close(self._lock)
            raise OrstateError(
                f"{path}: in use by process {owner}; stop it, or set run.instance to another name"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self._sweep()

    def ipc(self, name: str) -> str:
        """The ipc endpoint of that name in this directory."""
        return f"ipc://{self.path}/{name}"

    def endpoint(self, setting: str, name: str) -> str:
        """A configured endpoint: "ipc" means one in this directory."""
        return self.ipc(name) if setting == "ipc" else setting

    def log(self, stage: str) -> Path:
        """Where a stage's standard error goes."""
        return self.path / f"{stage}.log"

    def remove(self) -> None:
        """Remove the directory with all in it and let the lock go. Once more is no error."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _sweep(self) -> None:
        """Remove what a killed predecessor left."""
        for path in self.path.iterdir():
            if path.name != LOCK:
                path.unlink()


def _replaceable(folder: Path) -> str:
    """Why others could put a folder of their own in the place of one in it; "" if they cannot."""
    status = folder.stat()
    if status.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    if status.st_mode & OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
        return f"others can exchange what is in it (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _of_an_instance(path: Path) -> bool:
    return path.name == LOCK or path.is_socket() or path.name in {f"{stage}.log" for stage in STAGES}
