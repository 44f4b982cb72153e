"""Lines as speech recognition writes them. Used by training only.

Nothing that carries the sense is lost: only weak words go, and a misheard name stays near its name.
"""

import re
from random import Random
from typing import Final

from models.training.vocabulary import table

_VOWELS: Final = "aeiou"
_MARKS: Final = re.compile(r"[,.;!?…]+(?=\s|$)")
_LONG: Final = 6  # letters of a word that is still known when one of them is wrong


def misheard(text: str, rng: Random) -> str:
    """The line with some of: no marks, no capitals, sounds, words twice, weak words lost, words misspelt."""
    words = table("misheard")
    if rng.random() < 0.55:
        text = " ".join(_MARKS.sub("", text).split())
    chance = rng.random()
    text = text.lower() if chance < 0.7 else text.upper() if chance < 0.75 else text
    heard: list[str] = []
    for word in text.split():
        plain = word.strip(",.;!?").casefold()
        if plain in words["lists"]["weak"] and rng.random() < 0.12:
            continue
        others = words["words"].get(plain)
        if others and rng.random() < (0.04 if len(plain) < 4 else 0.3):
            word = word.casefold().replace(plain, rng.choice(others))
        elif len(plain) >= _LONG and plain.isalpha() and plain not in words["lists"]["kept"] and rng.random() < 0.05:
            word = _misspelt(word, rng)
        heard.append(word)
        if rng.random() < 0.03 and plain.isalpha():
            heard.append(word)
        if rng.random() < 0.035:
            heard.append(rng.choice(words["lists"]["fillers"]))
    if rng.random() < 0.15:
        heard.insert(0, rng.choice(words["lists"]["fillers"]))
    return " ".join(heard) or text


def _misspelt(word: str, rng: Random) -> str:
    """A letter inside of it is lost, stands twice, or is another vowel."""
    at = rng.randrange(1, len(word) - 1)
    letter = word[at]
    if letter in _VOWELS and rng.random() < 0.6:
        return word[:at] + rng.choice(_VOWELS) + word[at + 1 :]
    return word[:at] + rng.choice(("", letter * 2)) + word[at + 1 :]
