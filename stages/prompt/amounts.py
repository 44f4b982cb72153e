"""How much: "six bar", "minus twenty", "ten minutes". Runs in the prompt process."""

import re
from typing import Final

from stages.prompt.clock import HOURS
from stages.prompt.language import Language

_DIGITS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Amounts:
    """Reads amounts in the words of an utterance."""

    def __init__(self, language: Language) -> None:
        self._units = language.units
        self._digits = language.numbers
        self._numbers = {tuple(words.split()): number for words, number in language.numbers.items()}
        self._quantities = frozenset(language.things.quantities)
        self._adjectives = frozenset(language.glue.adjective)
        self.articles = frozenset(words for words in language.glue.the if " " not in words)
        self.measures = frozenset((*language.things.measures, *language.units))
        self.first_words = frozenset(first for first, *_ in self._numbers)

    def counted(self, word: str) -> bool:
        """Whether a word is a number."""
        return word[0].isdigit() or (word,) in self._numbers

    def setting(self, words: list[str], at: int) -> int:
        """Where "six bar" or "minus twenty, flow of two litres" ends, or 0: how much, which changes nothing else."""
        end = self._of_quantity(words, at) or self._value(words, at)
        while end:
            more = end + (words[end : end + 1] == [","])
            if more + 1 >= len(words) or words[more] not in self._quantities:
                break
            more += 1 + (words[more + 1] in ("of", "at"))
            if not (more := self._value(words, more)):
                break
            end = more
        return end

    def _of_quantity(self, words: list[str], at: int) -> int:
        """Where "a rate of twelve" ends, or 0."""
        if words[at : at + 1] != ["a"] or words[at + 2 : at + 3] != ["of"] or words[at + 1] not in self._quantities:
            return 0
        end = first = at + 3
        while end < len(words) and self.counted(words[end]):
            end += 1
        return end + (words[end : end + 1] != [] and words[end] in self.measures) if end > first else 0

    def duration(self, words: list[str], at: int) -> int:
        """Where "ten minutes" ends, or 0."""
        number, end = self.amount(words, at)
        return end + 1 if number is not None and end < len(words) and words[end] in self._units else 0

    def amount(self, words: list[str], at: int) -> tuple[float | None, int]:
        """The number that stands here, with its words: "twenty five", "five more", "one or two"; and where it ends."""
        number: float | None = None
        for length in (4, 3, 2, 1):
            if (number := self._numbers.get(tuple(words[at : at + length]))) is not None:
                at += length
                break
        else:
            if at < len(words) and _DIGITS.fullmatch(words[at]):
                number = float(words[at])
                at += 1
        if number is None:
            return None, at
        ones = self._digits.get(words[at], 10.0) if at < len(words) else 10.0
        if ones < 10 and words[at] not in self.articles:  # "twenty five"
            number, at = number + ones, at + 1
        if words[at : at + 1] in (["or"], ["to"]) and self._numbers.get(tuple(words[at + 1 : at + 2])) is not None:
            at += 2  # "a minute or two" stays with the first
        return number, at + (words[at : at + 1] == ["more"])

    def is_number(self, words: list[str]) -> bool:
        """Whether these words are a number."""
        return tuple(words) in self._numbers

    def _value(self, words: list[str], at: int) -> int:
        if words[at : at + 1] and words[at] in self._adjectives and at + 1 < len(words):  # "low flow"
            return at + 2
        end = at + (words[at : at + 1] == ["minus"])
        first = end
        while end < len(words) and (words[end][0].isdigit() or (words[end],) in self._numbers):
            end += 1
        measured = end < len(words) and (words[end] in self.measures or words[end] == "per")
        if end == first or words[first] in self.articles:
            return 0
        number = self._number(words[first])  # None: with its unit, "5mm"
        if not (measured or first > at or end > first + 1 or number is None or number > HOURS):
            return 0
        end += measured and words[end] != "per"
        if words[end : end + 1] in (["of"], ["a"], ["per"]) and end + 1 < len(words):  # "of mercury", "a minute"
            end += 2
        return end

    def _number(self, word: str) -> float | None:
        """What a word counts, or None: "5mg" and "5pm" begin with a digit and are no number."""
        return float(word) if _DIGITS.fullmatch(word) else self._numbers.get((word,))
