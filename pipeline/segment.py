"""Shared memory that two processes map: created and removed by the supervisor, attached by stages and clients.

A segment is a file in /dev/shm (the system's temporary folder where there is none), mapped with mmap. The
standard library's SharedMemory is not used: on Python 3.11 a process that only attached removes the segment of
its creator when it exits (cpython #82300).
"""

import mmap
import os
import re
import tempfile
from pathlib import Path
from stat import S_ISREG

from pipeline.errors import OrstateError

PREFIX = "orstate"
_NAME = re.compile(rf"{PREFIX}-[0-9]{{1,10}}-[A-Za-z0-9_-]{{1,64}}")


def folder() -> Path:
    """Where segments lie."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() else Path(tempfile.gettempdir())


def segment_name(owner_pid: int, part: str) -> str:
    """`orstate-<pid>-<part>`: the janitor can tell whose it is."""
    return f"{PREFIX}-{owner_pid}-{part}"


class Segment:
    """A mapped file of shared memory. `memory` is writable; the creator also unlinks."""

    def __init__(self, name: str, memory: mmap.mmap, descriptor: int) -> None:
        self.name = name
        self.memory = memory
        self._descriptor = descriptor

    @classmethod
    def create(cls, name: str, size: int) -> "Segment":
        """Make a segment of `size` bytes, all zero, with its pages reserved.

        Without the reservation a full /dev/shm kills the writer with SIGBUS later. Raises OrstateError.
        """
        path = folder() / name
        free = free_bytes()
        if size > free:
            raise OrstateError(
                f"{path}: needs {size:,} bytes of shared memory and {free:,} are free; "
                "lower queues.slot_bytes or frames.slots, or free some of it"
            )
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OrstateError(f"{path}: shared memory cannot be made: {error.strerror}") from error
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            os.close(descriptor)
            path.unlink()
            raise OrstateError(f"{path}: {size:,} bytes cannot be reserved: {error.strerror}") from error
        return cls(name, mmap.mmap(descriptor, size), descriptor)

    @classmethod
    def attach(cls, name: str) -> "Segment":
        """Map a segment that another process made. Raises OrstateError if there is none.

        A client is told the names of frame rings by its pipeline: they must be names, and no links.
        """
        path = folder() / name
        if not _NAME.fullmatch(name):
            raise OrstateError(f"{name!r}: is no name of shared memory, which is {PREFIX}-PID-PART")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise OrstateError(f"{path}: shared memory cannot be attached: {error.strerror}") from error
        return cls(name, mmap.mmap(descriptor, os.fstat(descriptor).st_size), descriptor)

    @property
    def descriptor(self) -> int:
        """The file descriptor, for a lock that ends with its process."""
        return self._descriptor

    def close(self) -> None:
        """Unmap. Once more is no error; memory that is still viewed is unmapped with its last view."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        try:
            self.memory.close()
        except BufferError:  # a caller still reads pixels from it
            return

    def unlink(self) -> None:
        """Remove the name; the memory goes with the last process that maps it."""
        (folder() / self.name).unlink(missing_ok=True)


def free_bytes() -> int:
    """Bytes of shared memory that can still be used."""
    stat = os.statvfs(folder())
    return stat.f_bavail * stat.f_frsize


def remove_orphans() -> list[str]:
    """The janitor: remove this user's segments whose owner process is gone; their names."""
    removed = []
    for path in folder().glob(f"{PREFIX}-*"):
        owner = path.name.split("-")[1]
        try:
            stat = path.lstat()
        except FileNotFoundError:  # another instance's janitor was faster
            continue
        ours = S_ISREG(stat.st_mode) and stat.st_uid == os.getuid()
        if ours and owner.isdecimal() and not _alive(int(owner)):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return sorted(removed)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
