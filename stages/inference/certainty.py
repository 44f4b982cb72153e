"""How sure a model was of what it wrote, from the probabilities of its choices. Used by the inference process.

A choice is a token that the grammar did not force. The probability of a value (a machine's id in a list, a phase)
is that of all choices from the end of the value before it to its own end: so whether a list goes on counts for the
machine that it goes on with.
"""

import re
from collections.abc import Iterator, Sequence
from math import exp
from typing import Final, NamedTuple

from pipeline.messages import Certainty

_LEXEMES: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,"]|[^\s{}\[\]:,"]+')
_PHASES: Final = {("phase",): "phase", ("next",): "next", ("metadata", "phase"): "phase"} | {
    ("metadata", "next_phase"): "next"
}
_MACHINES: Final = frozenset({("on",), ("off",), ("machines", "1"), ("machines", "0")})


class Scored(NamedTuple):
    """A choice: the characters of the answer that its token wrote, and its logarithmic probability."""

    start: int
    end: int
    logprob: float


def certainty(text: str, choices: Sequence[Scored]) -> Certainty:
    """How sure the model was of the answer `text`, in either form; of a cut-off one as far as it goes."""
    values: dict[str, float] = {}
    machines: dict[str, float] = {}
    for path, value, start, end in _values(text):
        probability = exp(sum(c.logprob for c in choices if c.start < end and c.end > start))
        if path in _PHASES:
            values[_PHASES[path]] = probability
        elif path in _MACHINES:
            machines[value] = min(probability, machines.get(value, 1.0))
    mean = sum(choice.logprob for choice in choices) / len(choices) if choices else 0.0
    return Certainty(
        mean_logprob=mean, phase=values.get("phase", 0.0), next_phase=values.get("next", 0.0), machines=machines
    )


def _values(text: str) -> Iterator[tuple[tuple[str, ...], str, int, int]]:
    """Every string or number that is a value: its keys from the outside, itself, and its place with what stands
    before it since the last string or number."""
    keys: list[str] = []
    opened: list[str] = []
    key, named, last = "", False, 0
    for found in _LEXEMES.finditer(text):
        lexeme = found.group()
        if lexeme == '"':  # a text that was cut off
            return
        if lexeme in "{[":
            opened.append(lexeme)
            keys.append(key)
            key, named = "", False
        elif lexeme in "}]":
            if opened:
                opened.pop()
                key = keys.pop()
            named = False
        elif lexeme == ",":
            named = False
        elif lexeme == ":":
            named = True
        elif opened and opened[-1] == "{" and not named:
            key, last = lexeme.strip('"'), found.end()
        else:
            path = (*keys, key) if opened and opened[-1] == "{" else tuple(keys)
            end = found.end() - lexeme.endswith('"')  # the quote may be one token with what comes next
            yield tuple(part for part in path if part), lexeme.strip('"'), last, end
            last = end
