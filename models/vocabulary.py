"""Which tokens of a SentencePiece vocabulary are needed for the texts that will be asked. Used by the command line,
and by the inference process for a model that it has to make first.

Such a vocabulary cuts a text by merging: of all adjacent pieces whose join is a token, the pair with the best score
is joined, the leftmost of equals, until none is left; what is no token then falls into byte tokens. Let P be all the
pieces that arise on the way, single characters included. Of a vocabulary that keeps P with its scores, each step has
fewer joins to choose from, but the best of them is still there: so the text is cut into the same pieces.

- ASCII: P of an ASCII text is ASCII (with U+2581 for the space), so keeping all ASCII tokens is enough.
- Words: where no token has both letters and other characters, but for one space before a word, no join crosses the
  edge of a word, and P of a text is that of its words and of what stands between them. So what the words reach is
  enough for all texts of these words; a word that is not among them falls into smaller pieces.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

SPACE = "\u2581"
NORMAL, UNUSED, BYTE = 1, 5, 6  # kinds of token (source: llama.h, llama_token_type)
DEFAULT_SPECIALS = 3  # ids 0 to 2 have a role that the metadata need not name (source: llama-vocab.cpp)

_ASCII = re.compile(rb"(?:[\x00-\x7f]|\xe2\x96\x81)+")
_PLACEHOLDER = re.compile(rb"<unused\d+>|\[PAD\d+\]")
_WORD = re.compile(r"[A-Za-z]+")
_WORD_TOKEN = re.compile(rf"{SPACE}?[A-Za-z]+")
_LETTER = re.compile(r"[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens by id, all three of one length."""

    texts: list[bytes]
    kinds: npt.NDArray[Any]
    scores: npt.NDArray[Any]


class MixedTokens(ValueError):
    """The vocabulary has tokens of letters and others, so that words cannot be taken by themselves; names one."""


def needed_for_ascii(vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """For each token, whether it stays: all that ASCII text reaches, and all that are no pieces of text.

    Placeholders go, unless a join of two others would make one.
    """
    known = {*vocabulary.texts, *(bytes([character]) for character in range(128))}

    def stays(text: bytes, kind: int) -> bool:
        if kind == NORMAL:
            return _ASCII.fullmatch(text) is not None
        if kind == UNUSED or _PLACEHOLDER.fullmatch(text):
            return any(text[:cut] in known and text[cut:] in known for cut in range(1, len(text)))
        return True

    stay = np.fromiter(map(stays, vocabulary.texts, vocabulary.kinds), bool, len(vocabulary.texts))
    stay[:DEFAULT_SPECIALS] = True
    return stay


def needed_for_words(vocabulary: Vocabulary, words: Collection[str]) -> npt.NDArray[np.bool_]:
    """As for ASCII, but of the tokens made of letters only those that the words reach.

    A word counts as it is written, in small letters, with a capital, and in capitals; after a space and without.
    Raises MixedTokens.
    """
    stay = needed_for_ascii(vocabulary)
    pieces = {}
    for id_ in np.flatnonzero(stay & (vocabulary.kinds == NORMAL)):
        text = vocabulary.texts[id_].decode()
        if _WORD_TOKEN.fullmatch(text):
            pieces[text] = int(id_)
        elif _LETTER.search(text):
            raise MixedTokens(f"token {text!r} has letters and others")
    reached = _reached(words, {text: float(vocabulary.scores[id_]) for text, id_ in pieces.items()})
    stay[[id_ for text, id_ in pieces.items() if text not in reached and len(text) > 1]] = False
    return stay


def words_of(text: str) -> set[str]:
    """The runs of ASCII letters in a text."""
    return set(_WORD.findall(text))


def _reached(words: Collection[str], scores: Mapping[str, float]) -> set[str]:
    forms = {form for word in words for form in (word, word.lower(), word.capitalize(), word.upper())}
    found: set[str] = set()
    for form in forms:
        found |= _arising(form, scores) | _arising(SPACE + form, scores)
    return found


def _arising(text: str, scores: Mapping[str, float]) -> set[str]:
    """All pieces that arise while the text is cut."""
    pieces = list(text)
    arisen = set(pieces)
    while True:
        joins = [left + right for left, right in pairwise(pieces)]
        known = [(-scores[join], at) for at, join in enumerate(joins) if join in scores]
        if not known:
            return arisen
        _, at = min(known)
        pieces[at : at + 2] = [joins[at]]
        arisen.add(joins[at])
