"""Removes old journals: those that are older than the limit, and the oldest while all together are too large.

Run by the supervisor at its start and then every hour. Only folders that a run has made are looked at, and never one
whose files are being written, by this instance or another.
"""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

from pipeline.journal import is_written

NAME: Final = "%Y%m%dT%H%M%S.%fZ"  # pipeline/journal.py: run_folder
EVERY_S: Final = 3600.0


class Kept(NamedTuple):
    """The journal of one run."""

    folder: Path
    ended_s: float  # Unix time of its last change
    size: int  # bytes


def prune(parent: Path, days: float, megabytes: float, now_s: float | None = None) -> list[Path]:
    """Remove what is beyond the limits, and return it; 0 is no limit. What cannot be removed is left."""
    now_s = time.time() if now_s is None else now_s
    runs = sorted((run for folder in _folders(parent) if (run := _kept(folder))), key=lambda run: run.ended_s)
    total = sum(run.size for run in runs)
    removed: list[Path] = []
    for run in runs:
        too_old = days > 0 and now_s - run.ended_s > 86_400 * days
        too_large = megabytes > 0 and total > 1e6 * megabytes and run.size > 0  # one that begins has no file yet
        if (too_old or too_large) and not is_written(run.folder):
            shutil.rmtree(run.folder, ignore_errors=True)
            if not run.folder.exists():
                removed.append(run.folder)
                total -= run.size
    return removed


def _folders(parent: Path) -> list[Path]:
    try:
        return [entry for entry in parent.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:  # no journal was ever kept there
        return []


def _kept(folder: Path) -> Kept | None:
    """None if no run has made it, if it cannot be looked at, or if another instance removes it right now."""
    try:
        began = datetime.strptime(folder.name, NAME).replace(tzinfo=UTC).timestamp()
        found = [status for file in folder.iterdir() if S_ISREG((status := file.lstat()).st_mode)]
    except (ValueError, OSError):
        return None
    return Kept(folder, max((stat.st_mtime for stat in found), default=began), sum(stat.st_size for stat in found))
