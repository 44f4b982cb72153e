"""Phrases with choices in a file of words: "[can|could] we[| please]" stands for four. Runs in the prompt process."""

import re
from itertools import product
from math import prod
from typing import Any, Final

MOST: Final = 1000  # that one phrase may stand for
_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")


def spelled_out(value: Any) -> Any:
    """What was read from a file, with all that each phrase of a list stands for in its place.

    Raises ValueError if a bracket is open or stands within another, or a phrase stands for more than MOST.
    """
    if isinstance(value, dict):
        return {key: spelled_out(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [one for entry in value for one in (_choices(entry) if isinstance(entry, str) else [entry])]
    return value


def _choices(phrase: str) -> list[str]:
    parts = _CHOICE.split(phrase)
    if any(bracket in text for text in parts[::2] for bracket in "[]"):
        raise ValueError(f"phrase {phrase!r}: a bracket without its other; write [this|that], none in another")
    options = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    if (ways := prod(map(len, options))) > MOST:
        raise ValueError(f"phrase {phrase!r}: stands for {ways} phrases; one may stand for {MOST}")
    return ["".join(chosen) for chosen in product(*options)]
