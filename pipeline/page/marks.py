"""Finds in a line of speech the words that moved a machine. Runs in the page's process.

A state tells them as the rules read them, in small letters and without punctuation ("c arm" for "C-Arm"), so words
are compared, not characters; a filler between them does not count.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

_WORD: Final = re.compile(r"[^\W_]+")


class Cause(msgspec.Struct, frozen=True):
    """What was said of a machine: all of it, and the phrase in it that names the machine."""

    machine: str
    words: str
    trigger: str


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a line. `machines`: whom its words moved; `named`: it is the phrase for the machine itself."""

    text: str
    machines: tuple[str, ...] = ()
    named: bool = False


def segments(text: str, causes: Iterable[Cause]) -> tuple[Segment, ...]:
    """The line in pieces: put together they are `text`, whatever it is."""
    words = [(match.start(), match.end(), match.group().casefold()) for match in _WORD.finditer(text)]
    said: list[tuple[int, int, str, bool]] = []
    for cause in causes:
        whole = _find(words, cause.words, 0, len(words))
        if whole is not None:
            said.append((words[whole[0]][0], words[whole[1] - 1][1], cause.machine, False))
        name = _find(words, cause.trigger, *(whole or (0, len(words))))
        if name is None and whole is not None:
            name = _find(words, cause.trigger, 0, len(words))
        if name is not None:
            said.append((words[name[0]][0], words[name[1] - 1][1], cause.machine, True))
    cuts = sorted({0, len(text), *(cut for begin, end, *_ in said for cut in (begin, end))})
    pieces = []
    for begin, end in pairwise(cuts):
        covering = [(machine, named) for first, last, machine, named in said if first <= begin and end <= last]
        machines = tuple(dict.fromkeys(machine for machine, _ in covering))
        pieces.append(Segment(text[begin:end], machines, any(named for _, named in covering)))
    return tuple(pieces)


def _find(words: list[tuple[int, int, str]], phrase: str, begin: int, end: int) -> tuple[int, int] | None:
    """The first and the last word but one of the shortest stretch that has the phrase's words in their order."""
    wanted = [match.group().casefold() for match in _WORD.finditer(phrase)]
    best: tuple[int, int] | None = None
    for start in range(begin, end if wanted else begin):
        if words[start][2] != wanted[0]:
            continue
        at, found = start, 0
        limit = min(end, start + 2 * len(wanted) + 2)
        while at < limit and found < len(wanted):
            found += words[at][2] == wanted[found]
            at += 1
        if found == len(wanted) and (best is None or at - start < best[1] - best[0]):
            best = (start, at)
    return best
