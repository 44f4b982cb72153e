"""Names that a speech recogniser misspelt: near in letters, or alike in sound. Runs in the prompt process.

Only what stands where a machine is expected is looked at (see lexicon.py), so an ordinary word is not taken for one.
"""

import re
from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process

SHORTEST: Final = 5  # letters of a name that may be misheard; of what is heard, one less
NEAR: Final = 80.0  # rapidfuzz's ratio, 0 to 100
MUCH_NEARER: Final = 85.0
NEAREST: Final = 88.0
ALIKE: Final = 60.0  # is enough for two that sound the same
SHUN_ALIKE: Final = 42.0  # if they end in "tion", which is written in many ways: "sukshun"
REMEMBERED: Final = 4096

_VOWELS: Final = frozenset("aeiou")
_SOUNDS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"ph", "f"),
        (r"(?:t|c|s|ss|sh)(?:ion|ian|un|en)\b", "S"),
        (r"igh|ei", "i"),
        (r"gh|(?<!^)h", ""),
        (r"c(?=[eiy])|z", "s"),
        (r"ck|c|q(?:u(?!i))?", "k"),
        (r"x", "ks"),
        (r"au|aw|ou|oo|ow|eau", "o"),
        (r"ea|ee|ie|ey|y", "i"),
        (r"(?<=\w)e\b", ""),
        (r"(.)\1", r"\1"),
        (r"(?<=.)[aeiou]", ""),
        (r"^[aeiou]", "a"),
    )
)


_VOICELESS: Final = str.maketrans("bdgvz", "ptkfs")


def sound_of(word: str) -> str:
    """What a word sounds like, roughly: consonants in their order and the first letter."""
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word


def nearly(heard: str, name: str) -> bool:
    """Whether what was heard is a name but for one letter of seven, a consonant's voice, or the order of letters."""
    near = fuzz.ratio(heard, name)
    voiceless = near >= NEAR and heard.translate(_VOICELESS) == name.translate(_VOICELESS)  # "stard"
    return near > MUCH_NEARER or voiceless or sorted(heard) == sorted(name)


def same(heard: str, name: str) -> bool:
    """Whether what was heard is a name but for one letter of nine."""
    return fuzz.ratio(heard, name) > NEAREST


class Ear:
    """Knows names, written without spaces."""

    def __init__(
        self, names: Iterable[str], ordinary: Iterable[str], *, shortest: int = SHORTEST, near: float = NEAR
    ) -> None:
        """`ordinary` words are near to a name and yet never it; `shortest` in letters, `near` of 100."""
        self._shortest, self._near = shortest, near
        self._exact = frozenset(names)
        self._names = sorted(name for name in self._exact if len(name) >= shortest)
        self._ordinary = frozenset(ordinary)
        self._sounds: dict[str, list[str]] = {}
        for name in self._names:
            self._sounds.setdefault(sound_of(name), []).append(name)
        self._heard: dict[str, str] = {}

    def whole(self, letters: str) -> str:
        """The name itself, if what was heard is it but for spaces; else ""."""
        return letters if letters in self._exact else ""

    def near(self, letters: str) -> str:
        """The name that is meant by `letters`, or ""."""
        known = self._heard.get(letters)
        if known is None:
            if len(self._heard) >= REMEMBERED:
                self._heard.clear()
            known = self._heard[letters] = self._nearest(letters)
        return known

    def _nearest(self, letters: str) -> str:
        if len(letters) < self._shortest - 1 or letters in self._ordinary or letters.isdigit():
            return ""
        found = process.extractOne(letters, self._names, scorer=fuzz.ratio, score_cutoff=self._near)
        if found is not None and (found[0][0] == letters[0] or {found[0][0], letters[0]} <= _VOWELS):
            return str(found[0])
        sound = sound_of(letters)
        alike = self._sounds.get(sound, ())
        enough = SHUN_ALIKE if sound.endswith("S") else ALIKE
        found = process.extractOne(letters, alike, scorer=fuzz.ratio, score_cutoff=enough)
        return "" if found is None else str(found[0])
