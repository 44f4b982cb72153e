"""How far long work is: the work tells it, and whoever shows it hears. Used in a command's process."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pipeline.journal import Record

Progress = Callable[[int, int], None]  # done so far, and in all (0: not known), in any unit
FRAME_BYTES: Final = 31  # of an MCAP message, beside its payload
OFTEN: Final = 256  # records between two tellings


def silent(done: int, total: int) -> None:
    """The progress of work that nobody watches."""


class Reading:
    """Tells how many bytes of files have been read, while their records go by."""

    def __init__(self, files: Iterable[Path], progress: Progress) -> None:
        self._size = sum(file.stat().st_size for file in files)
        self._progress = progress
        self._records = self._bytes = 0

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records of some of the files, or of all."""
        for record in records:
            if self._records % OFTEN == 0:
                self._progress(min(self._bytes, self._size), self._size)
            self._records += 1
            self._bytes += FRAME_BYTES + len(record.payload)
            yield record
