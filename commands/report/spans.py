"""Step functions of message time as spans: from when to when something was so."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """`value` from `begin` to `end`, in seconds of message time."""

    begin: float
    end: float
    value: str


def spans(steps: Iterable[tuple[float, str]], end: float) -> list[Span]:
    """The spans of a value and since when it holds; of several steps at one time the last counts. "" makes no span."""
    found: list[Span] = []
    for t, value in sorted(steps, key=lambda step: step[0]):
        if found and found[-1].value == value:
            continue
        if found:
            found[-1] = found[-1]._replace(end=t)
        found.append(Span(t, end, value))
    return [span for span in found if span.value and span.end > span.begin]


def differing(one: list[Span], other: list[Span], begin: float, end: float) -> list[Span]:
    """Where two step functions have different values; where one has no span it is ""."""
    times = sorted({begin, end, *(t for span in (*one, *other) for t in span[:2] if begin < t < end)})
    return spans([(t, "" if _at(one, t) == _at(other, t) else "differs") for t in times], end)


def _at(of: list[Span], t: float) -> str:
    return next((span.value for span in of if span.begin <= t < span.end), "")
