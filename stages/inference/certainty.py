"""How sure a model was of what it wrote, from the probabilities of its choices. Used by the inference process.

A choice is a token that the grammar did not force. The probability of a value (a machine's id in a list, a phase)
is that of all choices from the end of the value before it to its own end: so whether a list goes on counts for the
machine that it goes on with. What a choice of the phase did not take goes to the phases that it would have led to.
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
    """A choice: the characters of the answer that its token wrote, and its logarithmic probability.

    `rivals`: what other tokens would have written, each with its logarithmic probability.
    """

    start: int
    end: int
    logprob: float
    rivals: tuple[tuple[str, float], ...] = ()


def certainty(text: str, choices: Sequence[Scored], phases: Sequence[str] = ()) -> Certainty:
    """How sure the model was of the answer `text`, in either form; of a cut-off one as far as it goes.

    `phases`: the ids that it could choose from.
    """
    values: dict[str, float] = {}
    shares: dict[str, float] = {}
    machines: dict[str, float] = {}
    for path, value, start, end in _values(text):
        made = [c for c in choices if c.start < end and c.end > start]
        probability = exp(sum(c.logprob for c in made))
        if path in _PHASES:
            values[_PHASES[path]] = probability
            if _PHASES[path] == "phase":
                shares = _shares(value, text[: end - len(value)], text, made, phases)
        elif path in _MACHINES:
            machines[value] = min(probability, machines.get(value, 1.0))
    mean = sum(choice.logprob for choice in choices) / len(choices) if choices else 0.0
    return Certainty(
        mean_logprob=mean,
        phase=values.get("phase", 0.0),
        next_phase=values.get("next", 0.0),
        machines=machines,
        phases=shares,
    )


def _shares(chosen: str, before: str, text: str, choices: Sequence[Scored], phases: Sequence[str]) -> dict[str, float]:
    """The probability of each phase, where one of them was chosen behind the text `before`.

    A token that leads to several of them counts for each with an equal share, as does what is left if no rivals of the
    choices are known.
    """
    answers = {phase: f'{before}{phase}"' for phase in {*phases, chosen}}
    shares = dict.fromkeys(answers, 0.0)
    reached = 1.0
    for choice in choices:
        for written, logprob in choice.rivals:
            instead = text[: choice.start] + written
            led_to = [p for p, whole in answers.items() if whole.startswith(instead) or instead.startswith(whole)]
            for phase in led_to:  # the chosen one too, in other tokens
                shares[phase] += reached * exp(logprob) / len(led_to)
        reached *= exp(choice.logprob)
    if not any(choice.rivals for choice in choices):
        shares = {phase: (1.0 - reached) / max(1, len(answers) - 1) for phase in answers} | {chosen: 0.0}
    shares[chosen] += reached
    return {phase: min(1.0, share) for phase, share in shares.items()}


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
