"""Names that were split or misspelt, and misspelt verbs, put right where they stand. Runs in the prompt process."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from stages.prompt.hearing import Ear, nearly, same
from stages.prompt.language import Language
from stages.prompt.tokens import Phrase, Token

_MOST_WORDS: Final = 3  # of a name that was split
_MOST_LETTERS: Final = 3  # more or less than the name has
_MISSPELT_VERB: Final = re.compile(
    r"(?:^|[,&pmPI])(_)(?=[of][daO]*[MFG_]|[daO]*(?:[MFG]|[_+l]{1,3}[of]))"
)  # "swich off the camera"
# Where a machine is expected: behind a verb that switches, and before "on", "off", "is on" or "please".
_SLOT: Final = re.compile(
    r"(?:[s=S][of]|[vxyhwcNVXYskCKz=!]|[vxyhwcNVXYsk=][da]*[MFG][da]*&)[daO]*(_{1,3})"
    r"|((?<=[ofz]&d)_(?=[,P]*$)|(?<=[ofz]P&d)_(?=[,P]*$)"  # "suction off please, and the cautry too"
    r"|_{1,3}(?=b?n?[ofz](?![dal_+OW])|P(?!_)|[&,][da]*M[ofz]))"
)
# What a recogniser may have made of one name, behind a verb: "stop the die a thermy", "switch the infuse in pump off"
_PIECES: Final = re.compile(r"(?:[s=S][of]|[vxyhcNVXYswk=])([^,&ofztPvxyhscwkrADUCK]{2,6})(?=[,&oftPAD]|$)")
# The same before a particle: "our gone beam on please"
_CALLED: Final = re.compile(r"(?<![^,&Ptm])(l?[d_+aM]{1,5})(?=[ofz](?:[,&PtkI]|$))")
_LOOSE: Final = frozenset("_+")
_NAMED: Final = frozenset("MFGiE")
_SWITCHING: Final = frozenset("ofzrvxysSVXY=")
_MOST_PIECES: Final = 4
_APART: Final = frozenset(",PtKCRpnofzvxyshkwcSVXY=MFT")  # none of these is a piece of a name


class Repair:
    """`names`: phrases of machines, by their letters without spaces; `verbs`: those of one word."""

    def __init__(self, names: Mapping[str, Phrase], verbs: Mapping[str, Phrase], language: Language) -> None:
        self._names = names
        self._verbs = verbs
        self._beginnings = frozenset(name[:length] for name in names for length in range(1, len(name)))
        self._nouns = frozenset((*language.things.kinds, *language.things.heads))
        self._ear = Ear(names, (*language.things.ordinary, *language.things.kinds))
        # Where a verb is expected a short one may be misspelt too: "tunr off"
        self._verb_ear = Ear(verbs, language.things.ordinary, shortest=4, near=75.0)

    def repaired(self, letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
        """Names that were split or misspelt, put in where they stand."""
        for at in range(len(tokens) - 1):
            if tokens[at].text.replace(" ", "") not in self._beginnings:
                continue
            for length in range(_MOST_WORDS, 1, -1):
                if not _LOOSE.isdisjoint(letters[at : at + length]) and self._joins(tokens[at : at + length], length):
                    name = self._ear.whole("".join(t.text for t in tokens[at : at + length]).replace(" ", ""))
                    if name:
                        return self.repaired(*_put(letters, tokens, at, at + length, self._names[name], False))
        while (verb := _MISSPELT_VERB.search(letters)) is not None:
            at = verb.start(1)
            name = self._verb_ear.near(tokens[at].text)
            if not name or not (letters[at + 1] in "of" or nearly(tokens[at].text, name)):  # "push" is no "pause"
                break
            letters, tokens = _put(letters, tokens, at, at + 1, self._verbs[name], True)
        letters, tokens = self._together(_PIECES, "da", letters, tokens)
        letters, tokens = self._together(_CALLED, "d_+aM", letters, tokens)
        searched = 0
        while (slot := _SLOT.search(letters, searched)) is not None:
            group = 1 if slot.group(1) else 2
            first, last = slot.span(group)
            spans = (
                [(first, last - n) for n in range(last - first)]
                if group == 1
                else [(first + n, last) for n in range(last - first)]
            )
            for start, end in spans:
                if name := self._ear.near("".join(t.text for t in tokens[start:end])):
                    letters, tokens = _put(letters, tokens, start, end, self._names[name], True)
                    break
            searched = first + 1
        if not _SWITCHING.isdisjoint(letters) and not any(t.letter in _NAMED and not t.misheard for t in tokens):
            letters, tokens = self._anywhere(letters, tokens)
        return letters, tokens

    def _anywhere(self, letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
        """Pieces of a name wherever they stand, in an order that names no machine: "eerie gation on"."""
        start = 0
        while start < len(tokens):
            for length in range(min(_MOST_PIECES, len(tokens) - start), 1, -1):
                pieces = tokens[start : start + length]
                here = letters[start : start + length]
                if "_" not in here or not _APART.isdisjoint(here):
                    continue
                if name := self._pieced(pieces, most_between=1):
                    end = start + length
                    end += end < len(tokens) and tokens[end].text in self._nouns
                    letters, tokens = _put(letters, tokens, start, end, self._names[name], True)
                    break
            start += 1
        return letters, tokens

    def _together(
        self, slots: re.Pattern[str], before: str, letters: str, tokens: list[Token]
    ) -> tuple[str, list[Token]]:
        """Pieces of one name put together in such slots; `before` it such letters may stand."""
        searched = 0
        while (slot := slots.search(letters, searched)) is not None:
            start, end = slot.span(1)
            searched = end
            while start < end - 1 and "_" in letters[start:end]:
                if name := self._pieced(tokens[start:end]):
                    letters, tokens = _put(letters, tokens, start, end, self._names[name], True)
                    searched = start
                    break
                if letters[start] not in before:
                    break
                start += 1
        return letters, tokens

    def _pieced(self, tokens: list[Token], most_between: int = 0) -> str:
        """The name that all of these words together are, or ""; if another stands among them they must be very near.

        `most_between` two of them so many words that say nothing may stand.
        """
        joined = "".join(t.text.replace(" ", "") for t in tokens)
        if not self._joins(tokens, len(tokens), most_between):
            return ""
        name = self._ear.near(joined)
        named = any(t.mention is not None for t in tokens)
        return "" if abs(len(joined) - len(name)) > _MOST_LETTERS or (named and not same(joined, name)) else name

    @staticmethod
    def _joins(tokens: list[Token], length: int, most_between: int = 0) -> bool:
        return len(tokens) == length and all(other.start - one.end <= most_between for one, other in pairwise(tokens))


def _put(
    letters: str, tokens: list[Token], start: int, end: int, phrase: Phrase, misheard: bool
) -> tuple[str, list[Token]]:
    token = Token(
        phrase.letter, phrase.text, tokens[start].start, tokens[end - 1].end, phrase.mention, misheard=misheard
    )
    return letters[:start] + phrase.letter + letters[end:], [*tokens[:start], token, *tokens[end:]]
