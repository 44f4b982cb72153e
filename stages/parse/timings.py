"""How long each part of a message's way took, from the stamps that it gathered. Runs in the parse process."""

from collections.abc import Mapping
from typing import Final

_SPANS: Final = (("prompt", "received", "asked"), ("wait", "asked", "started"), ("inference", "started", "finished"))


def elapsed(stamps: Mapping[str, int], now: int) -> dict[str, float]:
    """Milliseconds of each part of the way, as far as both its stamps were set; `total` runs until `now`."""
    timings = {
        name: _milliseconds(stamps[start], stamps[end])
        for name, start, end in _SPANS
        if start in stamps and end in stamps
    }
    if "finished" in stamps:
        timings["parse"] = _milliseconds(stamps["finished"], now)
    if "received" in stamps:
        timings["total"] = _milliseconds(stamps["received"], now)
    return timings


def _milliseconds(start: int, end: int) -> float:
    return max(0, end - start) / 1e6
