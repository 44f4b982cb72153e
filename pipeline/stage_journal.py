"""The journal as a stage process writes it: a disk that is full or gone does not stop the stage.

What cannot be written is held in memory, up to a limit, and tried again each second; what goes beyond is lost. The
loss is counted, and named in the journal itself once it is written again, in its place and covered by the chain. It is
told once when it begins and once when it is over. Used in the prompt and parse processes.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pipeline.control import JournalState
from pipeline.journal import LOSS_TOPIC, JournalWriter, Loss, Unwritten, open_next

MOST_HELD: Final = 8 << 20  # bytes
RETRY_S: Final = 1.0


class StageJournal:
    """One part of a run's journal. `tell` hears when it cannot be written, and when it is again."""

    def __init__(
        self,
        folder: Path,
        part: str,
        tell: Callable[[JournalState], None],
        clock: Callable[[], float] = time.monotonic,
        most_held: int = MOST_HELD,
    ) -> None:
        self.errors = 0  # tries that failed
        self.lost = 0  # records
        self._folder = folder
        self._part = part
        self._tell = tell
        self._clock = clock
        self._most_held = most_held
        self._writer: JournalWriter | None = None
        self._error = ""  # why it cannot be written now
        self._retry_at = 0.0
        self._missing = 0  # records lost since it was last written
        self._written = 0  # records that are in the file for certain
        self._try(self._open)

    def write(self, topic: str, payload: bytes, message_s: float = 0.0, sequence: int = 0) -> None:
        """Append one record, or hold it, or lose it."""
        writer = self._writer
        full = self._error and (writer is None or writer.waiting + len(payload) > self._most_held)
        if writer is None or full or self._missing:  # once one is lost those behind it are, or their order would be
            self._missing += 1
            self.lost += 1
        else:
            try:
                writer.write(topic, payload, message_s, sequence)
            except Unwritten as error:
                self._failed(error)

    def flush(self) -> None:
        """Hand what was written to the operating system, or try that again if it is time to."""
        if not self._error:
            self._try(self._flush)
        elif self._clock() >= self._retry_at and self._try(self._catch_up):
            self._error = ""
            self._tell(JournalState(lost=self.lost))

    def close(self) -> None:
        """Finish the file. What cannot be written now is lost. Once more is no error."""
        if self._error:
            self._retry_at = 0.0
            self.flush()
        if (writer := self._writer) is None:
            return
        self._writer = None
        before = self._error
        if self._try(writer.close):
            self._error = ""
        else:
            self.lost += writer.records - self._written
        if before or self._error:
            self._tell(JournalState(error=self._error, lost=self.lost))

    def counters(self) -> dict[str, float]:
        """Tries that failed, records that were lost, bytes that are held because they cannot be written."""
        held = self._writer.waiting if self._writer is not None and self._error else 0
        return {
            "journal_errors": float(self.errors),
            "journal_lost": float(self.lost),
            "journal_held_bytes_now": float(held),
        }

    def _open(self) -> None:
        if self._writer is None:
            self._writer = open_next(self._folder, self._part)

    def _flush(self) -> None:
        assert self._writer is not None
        self._writer.flush()
        self._written = self._writer.records

    def _catch_up(self) -> None:
        self._open()
        self._flush()
        if self._missing:
            assert self._writer is not None
            loss = Loss(records=self._missing, error=self._error)
            self._missing = 0
            self._writer.write(LOSS_TOPIC, msgspec.msgpack.encode(loss))
            self._flush()

    def _try(self, attempt: Callable[[], None]) -> bool:
        try:
            attempt()
        except (OSError, Unwritten) as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        self._retry_at = self._clock() + RETRY_S
        is_news, self._error = not self._error, str(error)
        if is_news:
            self._tell(JournalState(error=self._error, lost=self.lost))
