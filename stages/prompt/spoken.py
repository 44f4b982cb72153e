"""From the text of an utterance to its words and marks. Runs in the prompt process."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from stages.prompt.language import Language, plain

_WORD: Final = re.compile(
    r"\d+(?:\.\d+)?(?![^\W_])|[^\W_]+(?:'(?!(?:s|re|ll|ve|d)\b)[a-z]+)?|'(?:s|re|ll|ve|d)\b|[,:;—–.!?()]"
)
_SHORT: Final = {"'s": "is", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would"}
_SPELLED: Final = re.compile(r"\b[A-Za-z]\.(?:[A-Za-z0-9]\.)+[A-Za-z0-9]?(?=[\s,;:!?.]|$)")  # "E.M.G.", "C.O.2"
# A name in capitals as the last word, behind what switches: "turn the suction off Anna"
_CALLED: Final = re.compile(r"(?<=[a-z]) (?:on|off|please|now|standby) (?=([A-Z][^\W\d_A-Z]+)(?:\s*[,.!?;]|\s*$))")
_HESITATING: Final = (
    r"(\b(?:is|are|was|be|been|have|has|the|to|i'm|we're)|'(?:s|re|ve)),? *"  # "the lights are, um, off"
)
_MOST_AGAIN: Final = 5  # words
_CLAUSE: Final = re.compile(r"[,:;—–.!?]")
_CALLED_BARE: Final = re.compile(r"(?:the |my |our )?[^\W\d_]+(?: (?!is\b|are\b)[^\W\d_]+)?")  # "operating light"


class Spoken:
    """Writes short forms out; leaves out sounds, and words said twice."""

    def __init__(self, language: Language, is_known: Callable[[str], bool]) -> None:
        """`is_known`: whether a word is one of the rules', so that it is nobody's name."""
        self._is_known = is_known
        self._switching = frozenset((*language.verbs.open, "pop"))
        self._sound = re.compile(_any_of(language.glue.sound).pattern, re.IGNORECASE)
        self._held_back = re.compile(rf"{_HESITATING}{self._sound.pattern},?", re.IGNORECASE)
        self._rewrites = {plain(short): plain(long) for short, long in language.rewrites.items()}
        self._rewrite = _any_of(self._rewrites)
        self._patterns = language.compiled_patterns
        self._titles = re.compile(rf"\b({'|'.join(language.glue.titles)})\.")
        resuming = "|".join(sorted(map(re.escape, language.glue.resuming), key=len, reverse=True))
        self._resuming = re.compile(rf"[,:—–.;!-] *(?:oh |so |but |and )*(?:{resuming})\b[,:—–]?")

    def words(self, text: str) -> list[str]:
        """The words and marks of an utterance; no "uh", no word said twice."""
        text = _SPELLED.sub(lambda found: found.group().replace(".", ""), text.replace("’", "'"))
        if self._sound.search(text):  # before names are looked for: "camera on, uh, Priya"
            text = " ".join(self._sound.sub(" ", self._held_back.sub(r"\1", text)).split())
        text = _CALLED.sub(self._addressed, text)
        text = " ".join(text.lower().replace("-", " ").replace("...", " — ").replace("…", " — ").split())
        for pattern, instead in self._patterns:
            text = pattern.sub(instead, text)
        text = self._resuming.sub(" . ", self._titles.sub(r"\1", text))
        words: list[str] = []
        for word in _WORD.findall(self._rewrite.sub(lambda found: self._rewrites[found.group()], text)):
            if words[-1:] != [word] or word == "no":  # "the the"
                words.append(_SHORT.get(word, word))
        return _said_once(words)

    def _addressed(self, found: re.Match[str]) -> str:
        """A pause before the name, but for what a camera or a lamp is "on": "the light is on Anna"."""
        said = found.group()
        clause = plain(_CLAUSE.split(found.string[: found.start()])[-1])
        aimed = (
            said.strip() == "on" and not _CALLED_BARE.fullmatch(clause) and self._switching.isdisjoint(clause.split())
        )
        return said if aimed or self._is_known(found.group(1).lower()) else f"{said.rstrip()}, "


def _said_once(words: list[str]) -> list[str]:
    """Without what somebody began and said again: "turn off the turn off the pump"."""
    for length in range(_MOST_AGAIN, 1, -1):
        at = 0
        while at + 2 * length <= len(words):
            begun = words[at : at + length]
            if begun == words[at + length : at + 2 * length] and _may_be_said_again(begun):
                words = words[:at] + words[at + length :]
            else:
                at += 1
    return words


def _may_be_said_again(words: list[str]) -> bool:
    """Whether it says no more twice than once: no numbers and, but for "off, off", nothing behind a pause."""
    return all(map(str.isalpha, words)) or words in ([",", "off"], [",", "on"])


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(map(re.escape, phrases)) + r")\b")
