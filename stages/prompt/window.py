"""The rolling window of one session: what was said lately, as facts and as text for the model. Prompt process.

There are two views of the same lines, both on message time:
- the window, exact: finals that are not older than the newest one by more than `window_s`, at most `lines`;
- the transcript, for the prompt: it only grows, so that what the engine computed of it stays valid. Once it
  would hold a line that left the window, or too many lines or bytes, it is cut back at one go to the newer
  half. So it never shows what the window has dropped, and shows at least about half of it.
Notes (what a video process saw) stand in the transcript only.
"""

from dataclasses import dataclass
from typing import Final

SEEN: Final = "(video)"  # what a note begins with
MOST_LINES: Final = 60  # that a prompt shows, unless model or configuration say otherwise
TRANSCRIPT_BYTES: Final = 8000  # 2,000 to 2,700 tokens: leaves room in a context of 4,096 for the rest of the prompt


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the window. `t`: message time, seconds since the session began."""

    t: float
    text: str
    speaker: str


def format_line(t: float, speaker: str, text: str) -> str:
    """`[12.3s] Speaker: text`, without the speaker if unknown. Always one line: room speech is data."""
    words = " ".join(text.split())
    who = " ".join(speaker.split())
    return f"[{t:.1f}s] {words}" if who in ("", "unknown") else f"[{t:.1f}s] {who}: {words}"


class Window:
    """The lines of one session, in the order they arrived."""

    def __init__(self, window_s: float, lines: int) -> None:
        self.appended = 0
        self.evicted = 0
        self._window_s = window_s
        self._lines = lines
        self._entries: list[Entry] = []
        self._newest = 0.0
        self._oldest = 0.0
        self._in_order = True
        self.shown = 0  # lines that the transcript has had, those that were cut too
        self._shown: list[tuple[float, str]] = []  # the transcript's lines with their times
        self._shown_oldest = 0.0
        self._shown_bytes = 0
        self._text = ""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def duration(self) -> float:
        """Seconds from the oldest to the newest line; 0.0 with fewer than two."""
        return self._newest - self._oldest if len(self._entries) > 1 else 0.0

    @property
    def transcript(self) -> str:
        """The lines for the prompt, each ended by a newline; append-only between cuts."""
        return self._text

    def append(self, t: float, speaker: str, text: str, shown: str = "") -> bool:
        """Take a final line; False if it is blank, or too old for the window, and so not taken.

        `shown`: the text as the transcript has it, if otherwise.
        """
        if not text or text.isspace() or (self._entries and t < self._newest - self._window_s):
            return False
        self.appended += 1
        self._in_order = not self._entries or (self._in_order and t >= self._newest)
        self._newest = max(self._newest, t) if self._entries else t
        self._oldest = min(self._oldest, t) if self._entries else t
        self._entries.append(Entry(t, text, speaker))
        self._evict()
        self._show(t, format_line(t, speaker, shown or text) + "\n")
        return True

    def note(self, t: float, text: str) -> None:
        """Put a line into the transcript that is no speech and not part of the window."""
        self._show(t, format_line(t, "", text) + "\n")

    def hide(self, shown: int) -> None:
        """Take out of the transcript what it has had when `shown` was that; the window keeps it."""
        cut_already = self.shown - len(self._shown)
        self._keep(self._shown[max(0, shown - cut_already) :])

    def since(self, t: float) -> list[Entry]:
        """The window's lines from `t` on, inclusive."""
        return [entry for entry in self._entries if entry.t >= t]

    def _evict(self) -> None:
        before = len(self._entries)
        limit = self._newest - self._window_s
        if self._oldest < limit:
            self._entries = [entry for entry in self._entries if entry.t >= limit]
        if len(self._entries) > self._lines:
            self._entries = self._entries[-self._lines :]
        if len(self._entries) < before:
            self.evicted += before - len(self._entries)
            self._oldest = self._entries[0].t if self._in_order else min(entry.t for entry in self._entries)

    def _show(self, t: float, line: str) -> None:
        size = len(line.encode())
        self.shown += 1
        self._shown_oldest = min(self._shown_oldest, t) if self._shown else t
        self._shown.append((t, line))
        self._shown_bytes += size
        self._text += line
        newest = max(self._newest, t)
        if (
            self._shown_oldest < newest - self._window_s
            or len(self._shown) > self._lines
            or self._shown_bytes > TRANSCRIPT_BYTES
        ):
            self._cut(newest - self._window_s / 2)

    def _cut(self, limit: float) -> None:
        """Keep the newest lines that are not older than `limit` and fill half of the room; the last one always."""
        kept = [self._shown[-1]]
        size = len(kept[0][1].encode())
        for t, line in reversed(self._shown[:-1]):
            size += len(line.encode())
            if len(kept) >= max(1, self._lines // 2) or size > TRANSCRIPT_BYTES // 2:
                break
            if t >= limit:
                kept.append((t, line))
        self._keep(kept[::-1])

    def _keep(self, kept: list[tuple[float, str]]) -> None:
        self._shown = kept
        self._shown_oldest = min((t for t, _ in kept), default=0.0)
        self._shown_bytes = sum(len(line.encode()) for _, line in kept)
        self._text = "".join(line for _, line in kept)
