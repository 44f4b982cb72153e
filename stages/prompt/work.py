"""What a machine's work is done to: "smash that big staghorn", but no "break for lunch". Runs in the prompt process."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from stages.prompt.language import Language

_POINTING: Final = frozenset(("that", "this", "here", "there", "me"))
_WHERE: Final = frozenset(("behind", "under", "around", "below", "beneath", "above"))
_SOMEBODYS: Final = frozenset(("your", "yourself", "my", "our"))
_MOST_BEFORE: Final = 4  # words to the noun that is worked on, and it


def by_hand(clause: str, language: Language) -> bool:
    """Whether what stands behind a verb tells that a hand does it: "with the syringe"."""
    return any(f" {words} " in f" {clause} " for words in language.things.manual)


def is_worked_on(words: Sequence[str], needs: bool, language: Language) -> bool:
    """Whether a machine's verb before these words has an object of its own.

    One of a single word may do without any, unless it `needs` one: "we need to break up" is of no stone.
    """
    things, glue = language.things, language.glue
    if not words or not words[0].isalpha():
        return not needs
    if words[0] in _WHERE and not needs:
        words = words[1:]
    if not words or words[0] in _SOMEBODYS:
        return False  # "suck your belly in"
    pointed = words[0] in glue.it or words[0] in glue.patient or words[0] in _POINTING
    behind = words[1:] if pointed else words
    ends = not behind or not behind[0].isalpha()
    if pointed and (ends or behind[0] in (*things.particles, *glue.please, *glue.preposition, *glue.and_)):
        return True
    noun = takewhile(lambda word: word not in glue.preposition, behind[:_MOST_BEFORE])
    return any(word in things.worked_on or word.removesuffix("s") in things.worked_on for word in noun)
