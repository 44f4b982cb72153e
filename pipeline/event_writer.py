"""Writes events in a thread of its own: whoever reads them late, or never, must not stop the supervisor."""

import queue
import threading
from collections.abc import Callable

from pipeline.events import Event

WAITING = 1_000  # events that may wait to be written
LAST_S = 2.0  # how long the end waits for a reader


class EventWriter:
    """`write` writes one event; it may block, and raise OSError if nobody reads any more."""

    def __init__(self, write: Callable[[Event], None]) -> None:
        self.dropped = 0
        self._write = write
        self._events: queue.Queue[Event | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True, name="events")
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Have it written in its turn; dropped and counted if too many wait."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Wait until all is written, but not for ever."""
        try:
            self._events.put(None, timeout=LAST_S)
        except queue.Full:
            return
        self._thread.join(LAST_S)

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._write(event)
            except OSError:
                self.dropped += 1
