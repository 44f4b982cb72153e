"""The names of a machine: what its dictionary says, and what else follows from that. Runs in the prompt process."""

import re
from collections.abc import Iterator
from typing import Final

from stages.prompt.language import Language, plain
from stages.prompt.tokens import MatchType
from stages.surgery import Machine

_ASIDES: Final = re.compile(r"\([^)]*\)")
_SHORTEST_DOER: Final = 6  # letters
_MOST_NAMED: Final = 2  # words of a name in a trigger phrase
_DIGIT: Final = re.compile(r"\d")
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def names(machine: Machine) -> list[str]:
    """A machine's own name without what stands in brackets, and its aliases."""
    return [words for words in map(plain, (*machine.aliases, _ASIDES.sub("", machine.name))) if words]


def is_doer(name: str, language: Language) -> bool:
    """Whether a name of several words ends in what the machine does: "stone crusher" may be called "the crusher"."""
    last = name.split()[-1]
    known = last in language.phrases or last in language.things.ordinary or last in language.things.kinds
    return " " in name and len(last) >= _SHORTEST_DOER and last.endswith(("er", "or")) and not known


def alike(trigger: str, machine: Machine) -> Iterator[str]:
    """A trigger phrase, and what it is with other names of its machine at the end: "insert drain", "chest drain"."""
    yield trigger
    known = sorted(names(machine), key=len, reverse=True)
    for name in known:
        if trigger.endswith(f" {name}"):
            verb = trigger.removesuffix(name)
            yield from (verb + other for other in known if other != name)
            return


def in_triggers(machine: Machine) -> Iterator[str]:
    """Names that only trigger phrases tell: "blanket on", so "blanket off"; "start drilling", so "stop drilling"."""
    for trigger in map(plain, machine.triggers):
        first, *rest = trigger.split()
        if rest[-1:] == ["on"] and len(rest) <= _MOST_NAMED:
            yield trigger.removesuffix(" on")
        elif first in ("start", "begin") and len(rest) == 1 and rest[0].endswith("ing"):
            yield rest[0]


def phrases(machine: Machine, kinds: frozenset[str]) -> Iterator[tuple[str, str, MatchType]]:
    """The names of a machine with their letters, aliases first, and the forms made of them."""
    aliases = [plain(alias) for alias in machine.aliases]
    for alias in aliases:
        doing = alias.endswith("ing") and alias[:-3] in aliases  # suctioning
        yield alias, "G" if doing else "M", "alias"
    for name in names(machine)[len(aliases) :]:
        yield name, "M", "name"
    for name in names(machine):
        if (spoken := _DIGIT.sub(lambda digit: f" {_DIGITS[int(digit.group())]} ", name)) != name:
            yield " ".join(spoken.split()), "M", "alias"  # "co2": "co two"
    for alias in aliases:
        last = alias.split()[-1]
        if last.endswith("s") and len(last) > 4:
            yield alias[:-1], "M", "alias"
        elif last in kinds:
            yield f"{alias}s", "M", "alias"
        if last.endswith(("ation", "ator")):  # ventilation, irrigator: ventilating, irrigate
            stem = alias[: -len("ion" if last.endswith("ation") else "or")]
            yield f"{stem}ing", "G", "alias"
            yield f"{stem}e", "i", "alias"
