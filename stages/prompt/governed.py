"""What means a machine only behind the right verb: "unplug the pencil", "follow his pulse". Runs in the prompt process.

A part of a machine is handled all day, and what a machine shows is talked about. So they stand for it only where they
are connected, taken off, asked for or followed; elsewhere they are words like others.
"""

import re
from typing import Final

from msgspec.structs import replace

from stages.prompt.language import Language
from stages.prompt.settings import SET, SET_TO_NOTHING
from stages.prompt.tokens import Token
from stages.prompt.unnamed import OFF, ON, PART, SHOWN

ATTACH: Final = "7"  # letters that no construction has; they are read as others here
DETACH: Final = "8"
FOLLOW: Final = "9"
WAITING: Final = frozenset((ATTACH, DETACH, FOLLOW, PART, SHOWN, SET, SET_TO_NOTHING))
_ORDERS: Final = {SET: ON, SET_TO_NOTHING: OFF}

_THING: Final = r"[daO]*_?[da]*[6;M]"  # "the three leads", "the wretched pencil"
_THINGS: Final = rf"{_THING}(?:[&,]{{1,2}}{_THING})*"
_HANDLED: Final = re.compile(rf"([78]){_THINGS}")  # "unplug the pencil and the pad"
_ORDERED: Final = re.compile(rf"[vxwN]{_THINGS}")  # "stop the beeps", "I need her rhythm"
_SWITCHED: Final = re.compile(
    rf"=(?:[daO]*[6;])(?:[&,]{{1,2}}{_THING})*(?=[of])|(?<![^,&Pt])(?:{_THINGS}(?=[of])|[of]{_THINGS})"
)
_PUT_UP: Final = re.compile(rf"=(?:[daO]*;)(?:[&,]{{1,2}}{_THING})*")  # "get her pulse back on the screen"
_UP: Final = frozenset(("up", "back", "on", "where", "going", "running", "showing", "started"))
_WATCHED: Final = re.compile(rf"([xNe]?)(9){_THINGS}")  # "follow his rhythm", "done watching his heart"
_LEVELS: Final = [[word] for word in ("at", "above", "below", "over", "under", "up", "down", "higher", "lower", "to")]


def governed(letters: str, tokens: list[Token], words: list[str], language: Language) -> tuple[str, list[Token]]:
    """With a letter that constructions know for each that waits for one."""
    tokens = list(tokens)
    for pattern in (_HANDLED, _WATCHED, _PUT_UP, _ORDERED, _SWITCHED):
        for found in pattern.finditer("".join([token.letter for token in tokens])):
            _read(found, tokens, words, language)
    # A list of numbers tells how things are; and with a name beside it what is set is told ("argon on, forty watts")
    called = any(token.letter == "P" for token in tokens) and not any(token.names for token in tokens)
    for at, token in enumerate(tokens):
        if token.letter in _ORDERS:
            tokens[at] = replace(token, letter=_ORDERS[token.letter] if called else "")
        elif token.letter in WAITING:
            tokens[at] = _ordinary(token, language)
    tokens = [token for token in tokens if token.letter]
    return "".join([token.letter for token in tokens]), tokens


def _read(found: re.Match[str], tokens: list[Token], words: list[str], language: Language) -> None:
    """The things of a construction as machines, and its verb as one that constructions have."""
    start, end = found.span()
    things = [token for token in tokens[start:end] if token.letter in "M6;"]
    if not all(token.unnamed for token in things) and found.re is not _ORDERED:
        return  # a name needs no such verb, and "clip the camera to the drape" is of a hand
    verb = tokens[start]
    if found.re is _PUT_UP and _UP.isdisjoint(words[things[-1].end : things[-1].end + 1]):
        return  # "get her pressure down"
    if verb.letter == FOLLOW and verb.text.split()[0].endswith("ing"):
        return  # "he is watching her heart", but "done watching her heart"
    by_hand = verb.letter in "w9" or verb.text in language.things.by_hand
    if by_hand and any(token.letter == PART for token in things):
        return  # "give me the pencil", "use the pencil"
    if verb.letter == "v" and not verb.text.startswith("bring") and any(token.letter == SHOWN for token in things):
        return  # "bring back his rhythm", but "start the pulse ..."
    if found.re is not _PUT_UP and things[-1].letter == SHOWN and words[things[-1].end : things[-1].end + 1] in _LEVELS:
        return  # "I need her pressure above sixty"
    for at in range(start, end):
        if tokens[at].letter in (PART, SHOWN):
            tokens[at] = replace(tokens[at], letter="M")
        elif found.re is _PUT_UP and at == start:
            tokens[at] = replace(tokens[at], letter="v")
        elif tokens[at].letter in (ATTACH, FOLLOW):
            tokens[at] = replace(tokens[at], letter="d" if at > start else "v")
        elif tokens[at].letter in (DETACH, "_"):
            tokens[at] = replace(tokens[at], letter="x" if tokens[at].letter == DETACH else "a")


def _ordinary(token: Token, language: Language) -> Token:
    """It as a noun that makes another thing of a name before it, or as a word like others."""
    known = language.phrases.get(token.text.split()[-1])
    letter = known.letter if known is not None and known.letter == "+" else "_"
    return replace(token, letter=letter)
