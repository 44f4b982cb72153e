"""Phrases that are known by the stems of their words, so that "closing" is "closure". Runs in the prompt process."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from stages.prompt.language import Language

T = TypeVar("T")

_MOST: Final = 8192  # stems that are remembered
_KEPT: Final = frozenset(("in", "out", "on", "off", "up", "down"))
_BE: Final = frozenset(
    (
        "is",
        "are",
        "was",
        "has",
        "have",
        "been",
        "it",
        "we",
        "i",
        "you",
        "he",
        "she",
        "they",
        "to",
        "so",
        "that",
        "there",
    )
)


class Stems:
    """The stems of a language's words: what is left of them without their endings."""

    def __init__(self, language: Language, endings: Iterable[str]) -> None:
        self._endings = sorted(endings, key=len, reverse=True)
        self._small = frozenset((*language.glue.the, *language.glue.preposition, *language.glue.and_, *_BE))
        self._known: dict[str, str] = {}

    def stem(self, word: str) -> str:
        """A word without its ending."""
        known = self._known.get(word)
        if known is None:
            if len(self._known) > _MOST:
                self._known.clear()
            ending = next((e for e in self._endings if word.endswith(e) and len(word) - len(e) >= 3), "")
            known = word[: len(word) - len(ending)]
            if len(known) > 3 and known[-1] == known[-2]:
                known = known[:-1]
            self._known[word] = known
        return known

    def content(self, words: Iterable[str], *, keep: bool = False) -> tuple[str, ...]:
        """The stems of the words that say something; with `keep` also "in", "on", "off", "out"."""
        return tuple(self.stem(word) for word in words if self.says(word, keep=keep))

    def says(self, word: str, *, keep: bool) -> bool:
        """Whether a word says something."""
        return word.isalnum() and (word not in self._small or (keep and word in _KEPT))


class StemPhrases(Generic[T]):
    """What phrases stand for, found by their stems."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], T]]] = {}

    def add(self, stems: tuple[str, ...], meaning: T) -> None:
        """`meaning` is one of those that the phrase of these stems has."""
        self._by_first.setdefault(stems[0], []).append((stems, meaning))

    def within(self, stems: Iterable[str]) -> Iterator[T]:
        """What the phrases mean of which every stem is one of these, wherever it stands."""
        stems = set(stems)
        for stem in stems:
            yield from (meaning for phrase, meaning in self._by_first.get(stem, ()) if stems.issuperset(phrase))

    def found(self, stems: Sequence[str]) -> Iterator[tuple[int, int, list[T]]]:
        """Where a phrase begins, how many stems it has, and what it means. Of phrases that begin together the longest:
        "nephrostomy tube is in" is no "tube is in".
        """
        at = 0
        while at < len(stems):
            beginning = self._by_first.get(stems[at])
            if beginning is None:
                at += 1
                continue
            here = [(phrase, meaning) for phrase, meaning in beginning if tuple(stems[at : at + len(phrase)]) == phrase]
            longest = max((len(phrase) for phrase, _ in here), default=1)
            if here:
                yield at, longest, [meaning for phrase, meaning in here if len(phrase) == longest]
            at += longest
