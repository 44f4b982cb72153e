"""Phrases by their first words, the longest first. Runs in the prompt process."""

from collections.abc import Iterable, Sequence

from stages.prompt.tokens import Phrase


class _Beginning:
    """The phrases that begin with one word."""

    __slots__ = ("every", "second", "single")

    def __init__(self) -> None:
        self.every: list[Phrase] = []
        self.single: list[Phrase] = []
        self.second: dict[str, list[Phrase]] = {}  # by the second word; those of one word are in each

    def add(self, phrase: Phrase, first: bool) -> None:
        self.every.insert(0 if first else len(self.every), phrase)
        self.every.sort(key=lambda phrase: -len(phrase.rest))
        self.single = [phrase for phrase in self.every if not phrase.rest]
        self.second = {
            word: [phrase for phrase in self.every if not phrase.rest or phrase.rest[0] == word]
            for word in {phrase.rest[0] for phrase in self.every if phrase.rest}
        }


class PhraseIndex:
    """Looked up for every word of an utterance, so by its first two words."""

    def __init__(self, articles: Iterable[str]) -> None:
        """`articles` do not matter inside a phrase."""
        self._articles = frozenset(articles)
        self._beginnings: dict[str, _Beginning] = {}

    def add(self, word: str, phrase: Phrase, *, first: bool = False) -> None:
        """It begins with `word`; `first`: before what is as long."""
        self._beginnings.setdefault(word, _Beginning()).add(phrase, first)

    def first_words(self) -> set[str]:
        return set(self._beginnings)

    def of(self, word: str) -> Sequence[Phrase]:
        """All that begin with this word."""
        beginning = self._beginnings.get(word)
        return () if beginning is None else beginning.every

    def at(self, word: str, following: str) -> Sequence[Phrase]:
        """Those that may begin with `word` where `following` stands behind it; "" for the end."""
        beginning = self._beginnings.get(word)
        if beginning is None:
            return ()
        if following in self._articles:
            return beginning.every
        return beginning.second.get(following, beginning.single)
