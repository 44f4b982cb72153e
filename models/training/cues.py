"""Cues for the phases of invented surgeries: words of what is said in one, as a dictionary has them. Training only."""

import re
from collections import Counter
from functools import cache
from random import Random
from typing import Any, Final

from models.training.vocabulary import table

_MOST: Final = 24
_SHORTEST: Final = 4
_EVERYWHERE: Final = 3  # phases that say a word: it tells nothing then
_USUAL: Final = ("preparation", "induction", "closure", "emergence")
_BREAK: Final = re.compile(r"[\[\]|,.;:?!{}]+")
_WORD: Final = re.compile(r"[a-z]+(?:-[a-z]+)*")


def cues(rng: Random, phases: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Some cues of each phase, none for all in some rooms, few or many in others.

    Mostly what no other phase of the room says; a dictionary that a person wrote has cues that others say too.
    """
    chance = rng.random()
    if chance < 0.12:
        return [()] * len(phases)
    share = rng.uniform(0.08, 0.3) if chance < 0.4 else rng.uniform(0.3, 0.9)
    strict = rng.random() < 0.7
    keys = [phase["key"] for phase in phases]
    found = []
    for phase in phases:
        others = set().union(*(_words(key) for key in keys if key != phase["key"])) if strict else set()
        usual = phase["key"] in _USUAL and rng.random() < 0.6  # the language knows what is said in these
        known = () if usual else sorted(_candidates(phase["key"]) - others)
        found.append(tuple(rng.sample(known, min(_MOST, round(share * len(known))))))
    return found


@cache
def _candidates(key: str) -> frozenset[str]:
    """Words and pairs of words that tell a phase, and how it is called."""
    nouns = {noun.removeprefix("the ") for noun in table("phases")[key]["nouns"]}
    telling = {it for it in _words(key) if _frequency(it) <= _EVERYWHERE and _of_any_talk().isdisjoint(it.split())}
    return frozenset(nouns | telling)


@cache
def _words(key: str) -> frozenset[str]:
    """The longer words that are said in a phase, and pairs that stand side by side."""
    found = set[str]()
    everywhere = frozenset(table("compound")["phase"]["everywhere"])
    for template in table("phases")[key]["said"]:
        for part in _BREAK.split(template.casefold()):
            words = [word for word in _WORD.findall(part) if word not in everywhere]
            long = [word for word in words if len(word) >= _SHORTEST]
            found |= set(long)
            if len(long) == 2 and f"{long[0]} {long[1]}" in part:
                found.add(f"{long[0]} {long[1]}")
    return frozenset(found)


@cache
def _of_any_talk() -> frozenset[str]:
    """Words of talk about anything, and such as are said of several devices."""
    says = table("chatter")["says"]
    talk = frozenset(_WORD.findall(" ".join((*says["clause"], *says["line"])).casefold()))
    devices = Counter[str]()
    for device in table("devices").values():
        lines = (*device.get("need", ()), *device.get("rest", ()))
        devices.update(set(_WORD.findall(" ".join(lines).casefold())))
    return talk | {word for word, count in devices.items() if count >= _EVERYWHERE}


@cache
def _frequency(word: str) -> int:
    return sum(word in _words(key) for key in table("phases"))
