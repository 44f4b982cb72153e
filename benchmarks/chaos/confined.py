"""Command lines that start a program with less of the machine: a small tmpfs somewhere, or a limit on memory. In the
scenario's process; what they need of the system is asked first.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

_MOUNTS: Final = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_GROUPS: Final = (  # of memory, in the two versions of control groups
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


def with_tmpfs(place: Path, kilobytes: int, program: Sequence[str]) -> tuple[str, ...]:
    """The program, for which an empty tmpfs of that size lies at `place`; nobody else sees it but by `seen_by`."""
    mount = f'mount -t tmpfs -o size={kilobytes}k tmpfs "$0" && exec "$@"'
    return (*_MOUNTS, mount, str(place), *program)


@cache
def can_mount() -> bool:
    """Whether this system lets one have a mount of one's own."""
    try:
        return not subprocess.run(with_tmpfs(Path("/mnt"), 4, ("true",)), capture_output=True, check=False).returncode
    except OSError:
        return False


def seen_by(pid: int, path: Path) -> Path:
    """A path as that process sees it."""
    return Path(f"/proc/{pid}/root{path}")


def fill(folder: Path) -> Path:
    """Take all room that is left in the folder's file system; the file to remove for it to be free again."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


@contextmanager
def memory_limit(megabytes: int, program: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The program in a control group of its own. Raises OSError where none can be made."""
    group = _new_group(megabytes)
    try:
        yield ("sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(group), *program)
    finally:
        group.rmdir()


@cache
def can_limit_memory() -> bool:
    """Whether this system lets one make control groups with a limit."""
    try:
        _new_group(64).rmdir()
    except OSError:
        return False
    return True


def _new_group(megabytes: int) -> Path:
    parent, limit = next((parent, limit) for parent, limit in _GROUPS if parent.is_dir())
    group = parent / f"orstate-chaos-{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(megabytes << 20))
    except OSError:
        group.rmdir()
        raise
    return group
