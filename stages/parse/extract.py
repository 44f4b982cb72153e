"""Finds the one JSON object in what a model wrote. Runs in the parse process.

Three strategies in this order: the whole text; from the first "{" to the last "}"; the inside of the first code
fence. An array is no answer, wherever it stands. Of a key that stands twice the last one counts.
"""

import re
from typing import Any, Final, Literal

import msgspec

Strategy = Literal["whole", "braces", "fence"]
STRATEGIES: Final[tuple[Strategy, ...]] = ("whole", "braces", "fence")
MAX_CHARACTERS: Final = 100_000

_FENCE: Final = "```"
_STRING_OR_BRACE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}]', re.DOTALL)


class Unparsable(Exception):
    """There is no JSON object in a text; says why."""


class Extracted(msgspec.Struct, frozen=True):
    """The object, and the strategy that found it."""

    found: dict[str, Any]
    strategy: Strategy


def extract(text: str) -> Extracted:
    """The JSON object in `text`.

    Raises Unparsable for a text without one, one that was cut off, or one of more than MAX_CHARACTERS.
    """
    text = text.strip()
    if not text:
        raise Unparsable("the answer is empty")
    if len(text) > MAX_CHARACTERS:
        raise Unparsable(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}")
    whole = _decode(text)
    if isinstance(whole, dict):
        return Extracted(whole, "whole")
    between = _between_braces(text)
    if isinstance(between, dict):
        return Extracted(between, "braces")
    fenced = _decode(_in_fence(text))
    if isinstance(fenced, dict):
        return Extracted(fenced, "fence")
    if isinstance(whole, list) or isinstance(fenced, list):
        raise Unparsable("the answer is an array, not an object")
    if _is_open(text):
        raise Unparsable(f"the answer was cut off after {len(text)} characters, before its object was closed")
    raise Unparsable(f"no JSON object in the answer of {len(text)} characters")


def _decode(text: str) -> object:
    """The JSON value, or None if it is none (NaN and infinity are none, nor is what is nested too deep)."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _between_braces(text: str) -> object:
    first, last = text.find("{"), text.rfind("}")
    if first < 0 or last < first:
        return None
    in_array = text[:first].rstrip().endswith("[") and text[last + 1 :].lstrip().startswith("]")
    return None if in_array else _decode(text[first : last + 1])


def _in_fence(text: str) -> str:
    """What stands between the first two fences, without the name of a language; "" if there are no two."""
    start = text.find(_FENCE)
    end = text.find(_FENCE, start + len(_FENCE))
    if start < 0 or end < 0:
        return ""
    inside = text[start + len(_FENCE) : end].strip()
    return inside[4:] if inside[:4].casefold() == "json" else inside


def _is_open(text: str) -> bool:
    """Whether an object begins in `text` that is not closed at its end."""
    depth = 0
    for token in _STRING_OR_BRACE.finditer(text, max(0, text.find("{"))):
        if token.group() == "{":
            depth += 1
        elif token.group() == "}":
            depth = max(0, depth - 1)
    return depth > 0
