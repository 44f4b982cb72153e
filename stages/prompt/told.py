"""What a construction tells, and which of it a question takes away. Runs in the prompt process."""

import re
from typing import Final

import msgspec

from pipeline.messages import Action
from stages.prompt.tokens import Sentence, Token

_STATEMENTS: Final = frozenset(("state", "passive", "activity", "fact", "phrase", "patient"))
_GOES_ON: Final = re.compile(r"u|&[vxyhs=k]")
_PLEADED: Final = re.compile(
    r"[&,]*[j%][daO]*[MG](?:&[daO]*[MG])*b(?:[VXY]|[s=S]?[of])"
)  # "could the lights be put on?", "could the argon go on?"
_REQUESTS: Final = ("can ", "could ", "may ", "might ", "any chance ", "where is my ", "where are my ")


class Told(msgspec.Struct, eq=False):
    """One construction: machines, or what is none, and what is said of them."""

    rule: str
    action: Action
    things: list[Token]
    words: str
    negation: str = ""  # the word that turned it round
    deferred: bool = False
    waits_for: str = ""
    delay_s: float | None = None
    excepted: list[Token] = []
    following: list[str] = []  # words behind it
    earlier: bool = False  # in an utterance before this one


def not_asked(told: list[Told], sentence: Sentence, end: int) -> list[Told]:
    """What stays if the last part of the sentence, up to `end`, is a question.

    What that part states does not count, nor what it orders bluntly.
    """
    letters = sentence.letters[:end]
    part = letters.rstrip(",")
    cut = part.rfind(",") if part == letters else -1
    tail = part[cut + 1 :]
    polite = "p" in tail or "P" in tail or (_GOES_ON.match(tail) and "p" in part)  # "could you, Anna, to ..."
    polite = polite or _PLEADED.match(tail) is not None
    bare = part != letters  # a tag such as "okay?" was left out
    kept: list[Told] = []
    wanted = False  # "might we have this on and that off?"
    for one in told:
        start = one.things[0].start if one.things else 0
        asked = cut < 0 or start > sentence.tokens[cut].start
        requested = one.words.startswith(_REQUESTS) or (bare and one.rule not in _STATEMENTS)
        wanted = wanted or (asked and requested)
        if not asked or polite or wanted:
            kept.append(one)
    return kept
