"""Phrases by their first words, the longest first. Runs in the prompt process."""

from collections.abc import Iterable, Sequence

from stages.prompt.tokens import Phrase


class _Beginning:
    """The phrases that begin with one word. Sorted when they are read: a language has thousands, added one by one."""

    __slots__ = ("_every", "_second", "_single", "_sorted")

    def __init__(self) -> None:
        self._every: list[Phrase] = []
        self._single: list[Phrase] = []
        self._second: dict[str, list[Phrase]] = {}  # by the second word; those of one word are in each
        self._sorted = True

    def add(self, phrase: Phrase, first: bool) -> None:
        self._every.insert(0 if first else len(self._every), phrase)
        self._sorted = False

    def every(self) -> list[Phrase]:
        if not self._sorted:
            self._sort()
        return self._every

    def followed_by(self, word: str) -> list[Phrase]:
        if not self._sorted:
            self._sort()
        return self._second.get(word, self._single)

    def _sort(self) -> None:
        self._every.sort(key=lambda phrase: -len(phrase.rest))
        self._single = [phrase for phrase in self._every if not phrase.rest]
        self._second = {phrase.rest[0]: [] for phrase in self._every if phrase.rest}
        for phrase in self._every:
            if phrase.rest:
                self._second[phrase.rest[0]].append(phrase)
        for phrases in self._second.values():
            phrases += self._single  # the shortest stand behind the others
        self._sorted = True


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
        return () if beginning is None else beginning.every()

    def at(self, word: str, following: str) -> Sequence[Phrase]:
        """Those that may begin with `word` where `following` stands behind it; "" for the end."""
        beginning = self._beginnings.get(word)
        if beginning is None:
            return ()
        if following in self._articles:
            return beginning.every()
        return beginning.followed_by(following)
