"""What is misheard stays near what was said."""

from random import Random

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from models.training.mishear import _apart, _spelt_by_ear, misheard
from models.training.vocabulary import table

NAMES = sorted({name for device in table("devices").values() for name in device["spoken"]})


def test_a_word_that_is_heard_apart_keeps_its_letters_or_their_sounds() -> None:
    rng = Random(3)
    apart = 0
    for word in {word for name in NAMES for word in name.split() if len(word) > 6}:
        heard = _apart(word, rng)
        assert Levenshtein.distance(heard.replace(" ", ""), word) <= 6
        assert all(part for part in heard.split(" "))
        apart += " " in heard
    assert apart > 20


def test_a_word_that_is_written_by_ear_keeps_its_beginning() -> None:
    rng = Random(4)
    words = [word for name in NAMES for word in name.split() if len(word) > 6]
    heard = [_spelt_by_ear(word, rng) for word in words]
    assert all(other[0] == word[0] for word, other in zip(words, heard, strict=True))
    assert sum(other != word for word, other in zip(words, heard, strict=True)) > len(words) / 2


def test_what_carries_the_sense_is_never_lost() -> None:
    kept = table("misheard")["lists"]["kept"]
    line = " ".join((*kept, "on", "not", "no", "don't", "do", "turn", "but", "start", "it"))
    for seed in range(300):
        heard = misheard(line, Random(seed)).casefold().split()
        assert set(line.split()) - {"please"} <= set(heard)


def test_a_misheard_name_stays_near_its_name() -> None:
    for seed in range(300):
        heard = misheard("please do not turn off the generator, but start it.", Random(seed)).casefold()
        assert fuzz.partial_ratio("generator", heard.replace(" ", "")) > 60
