"""Lines as speech recognition writes them. Used by training only.

Nothing that carries the sense is lost: only weak words go, and a misheard name stays near its name.
"""

import re
from random import Random
from typing import Final

from models.training.vocabulary import table

_MARKS: Final = re.compile(r"[,.;!?…]+(?=\s|$)")


def misheard(text: str, rng: Random) -> str:
    """The line with some of: no marks, no capitals, sounds, words twice, weak words lost, names misspelt."""
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
        heard.append(word)
        if rng.random() < 0.03 and plain.isalpha():
            heard.append(word)
        if rng.random() < 0.035:
            heard.append(rng.choice(words["lists"]["fillers"]))
    if rng.random() < 0.15:
        heard.insert(0, rng.choice(words["lists"]["fillers"]))
    return " ".join(heard) or text
