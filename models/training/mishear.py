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
_SYLLABLE: Final = re.compile(
    r"(?<=[aeiouy])(?=[bcdfghjklmnpqrstvwxz][aeiouy])|(?<=[aeiouy][lmnrstpc])(?=[a-z][aeiou])"
)
_SOUNDS: Final = (
    ("tion", "shun"), ("sion", "zhun"), ("ph", "f"), ("ght", "t"), ("ck", "k"), ("qu", "kw"), ("x", "ks"), ("ce", "se"),
    ("ci", "si"), ("ca", "ka"), ("co", "ko"), ("cu", "ku"), ("er", "a"), ("or", "er"), ("ea", "ee"), ("y", "ie"),
    ("th", "t"), ("v", "f"), ("z", "s"), ("le", "el"), ("ou", "oo"), ("au", "o"),
)  # fmt: skip


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
        elif len(plain) >= _LONG and plain.isalpha() and plain not in words["lists"]["kept"] and rng.random() < 0.09:
            word = rng.choice((_misspelt, _spelt_by_ear, _apart))(word, rng)
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


def _spelt_by_ear(word: str, rng: Random) -> str:
    """One or two of its sounds are written otherwise."""
    able = [(old, new) for old, new in _SOUNDS if old in word[1:]]
    for old, new in rng.sample(able, min(len(able), rng.randint(1, 2))):
        word = word[0] + word[1:].replace(old, new, 1)
    return word


def _apart(word: str, rng: Random) -> str:
    """Heard as two words or three, which may be written by ear."""
    places = [found.start() for found in _SYLLABLE.finditer(word) if 2 <= found.start() <= len(word) - 2]
    places = [place for place in places if place - 1 not in places]
    for place in sorted(rng.sample(places, min(len(places), rng.choice((1, 1, 2)))), reverse=True):
        word = f"{word[:place]} {word[place:]}"
    return _spelt_by_ear(word, rng) if rng.random() < 0.3 else word
