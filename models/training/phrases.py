"""A small grammar of phrases: `[a|b|]` picks one alternative, `{word}` is a slot. Used by training only."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")
Slots = Mapping[str, Callable[[], str]]
Lists = Mapping[str, list[str]]

_TOKEN: Final = re.compile(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+")
_SPACE_BEFORE: Final = re.compile(r"\s+([,.;?!])")
_SHORT_FORM: Final = re.compile(r"\s+('d|'s)\b")
_DOUBLE: Final = re.compile(r"([,;])\s*([,.;?!])")
_AFTER_END: Final = re.compile(r"([?!])[,.;]")
_STARTS: Final = re.compile(r"([.?!]\s+)([a-z])")


class NothingToSay(Exception):
    """What was to be said cannot be said in this room, at this time."""


def some(rng: Random, options: Sequence[T]) -> T:
    """Any of the options. Raises NothingToSay if there is none."""
    if not options:
        raise NothingToSay
    return rng.choice(options)


class Phrases:
    """Says templates. What is no slot of the call is one of the lists, any of whose templates will do."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def say(self, template: str, rng: Random, slots: Slots) -> str:
        """The template with every choice made, on one line. Raises KeyError for a slot that nobody fills."""
        return tidy(self._say(_parsed(template), rng, slots))

    def _say(self, sequence: tuple[Any, ...], rng: Random, slots: Slots) -> str:
        said = []
        for part in sequence:
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, tuple):
                said.append(self._say(rng.choice(part), rng, slots))
            elif part.name in slots:
                said.append(slots[part.name]())
            else:
                said.append(self._say(_parsed(rng.choice(self._lists[part.name])), rng, slots))
        return "".join(said)


class _Slot:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


@cache
def _parsed(template: str) -> tuple[Any, ...]:
    """Strings, slots, and a tuple of alternatives for each choice."""
    tokens = _TOKEN.findall(template)
    if "".join(tokens) != template:
        raise ValueError(f"template {template!r}: a brace stands alone")
    sequence, rest = _sequence(tokens, template)
    if rest:
        raise ValueError(f"template {template!r}: {rest[0]!r} stands outside of a choice")
    return sequence


def _sequence(tokens: list[str], template: str) -> tuple[tuple[Any, ...], list[str]]:
    parts: list[Any] = []
    while tokens and tokens[0] not in ("|", "]"):
        token, tokens = tokens[0], tokens[1:]
        if token == "[":
            choices = []
            while True:
                choice, tokens = _sequence(tokens, template)
                choices.append(choice)
                if not tokens:
                    raise ValueError(f"template {template!r}: a choice is not closed")
                closing, tokens = tokens[0], tokens[1:]
                if closing == "]":
                    break
            parts.append(tuple(choices))
        else:
            parts.append(_Slot(token[1:-1]) if token[0] == "{" else token)
    return tuple(parts), tokens


def tidy(text: str) -> str:
    """One space between words, none before a mark, no two marks."""
    text = _SHORT_FORM.sub(r"\1", _SPACE_BEFORE.sub(r"\1", " ".join(text.split())))
    return _AFTER_END.sub(r"\1", _DOUBLE.sub(r"\2", text)).strip(" ,;")


def sentence(text: str) -> str:
    """With capitals where sentences begin, and a mark at the end."""
    text = _STARTS.sub(lambda found: found[1] + found[2].upper(), text[:1].upper() + text[1:])
    return text if text[-1:] in ".?!" else text + "."
