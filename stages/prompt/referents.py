"""Which machines a construction speaks of: those it names, points at and leaves out. Runs in the prompt process."""

import re
from typing import Final

from msgspec.structs import replace

from stages.prompt.grammar import MACHINES, UNNAMED
from stages.prompt.language import Language
from stages.prompt.tokens import Token
from stages.prompt.told import Told

HINT: Final = "?"  # letters of what may speak of a machine, and of a part of one or what it shows
MENTIONED: Final = ";"
_AMENDED: Final = re.compile(r"[da]*[MGF],?[0CK][,0CK]*(?=[da]*[MGF])")
_THE_LOT: Final = frozenset(("the lot", "the whole lot"))
_MANY: Final = {"both": 2, "two": 2, "pair": 2, "three": 3}


class Referents:
    """What "it" and "that" may stand for in a sentence. Holds the lists of told and named, which grow with it."""

    def __init__(self, told: list[Told], named: list[Token], language: Language, hinted: list[Token]) -> None:
        """`told` and `named`: what was before the sentence. `hinted`: what a nameless utterance hints at, and where."""
        self._told, self._named, self._things, self._hinted = told, named, language.things, hinted
        self._told_before, self._named_before = len(told), len(named)

    @property
    def last(self) -> Told | None:
        """What was told last."""
        return self._told[-1] if self._told else None

    def of(self, letters: str, tokens: list[Token]) -> tuple[list[Token], list[Token]]:
        """The machines of a construction, "it" put in, and those behind "except"."""
        if (meant := _AMENDED.match(letters)) is not None:  # "the irrigation, no, the suction, off"
            letters, tokens = letters[meant.end() :], tokens[meant.end() :]
        until = letters.find("!")
        found: list[Token] = []
        for token in tokens[: until if until >= 0 else None]:
            if token.letter == "W":
                listed = found or "," in letters[1:]  # "camera, suction, all of them off", "turn these on: the ..."
                found += () if listed else self._meant_by(token) or self._hinted_at(token, letters, tokens)
            elif token.letter in MACHINES | UNNAMED or (token.letter in "_+" and not {"l", ",", "b"} & set(letters)):
                found.append(token)
        excepted = [t for t in tokens[until:] if t.letter in MACHINES] if until >= 0 else []
        if found and found[0].letter == "E" and found[0].text.endswith(("but", "except")):
            found, excepted = found[:1], found[1:]
        if found and found[0].text.endswith(" else"):  # "the lights on and everything else off"
            excepted = [*excepted, *(thing for one in self._told for thing in one.things)]
        if "b" in letters:  # a statement about what is not ours
            found = [t for t in found if t.letter != "F"]
        return found, excepted

    def _meant_by(self, pronoun: Token) -> list[Token]:
        """ "It" is the machine named last, "that" what was switched last, "them" too or what was named just before."""
        if pronoun.text in self._things.announced:
            return []  # what they are is not said
        here = self._named[self._named_before :]
        last = self.last
        before = last is None or last.earlier
        plural = pronoun.text in self._things.plural
        if plural and len(here) > (not before) and len(self._told) == self._told_before:
            return here
        many = next((number for word, number in _MANY.items() if word in pronoun.text), 1)
        if last is not None and (plural or pronoun.text in self._things.pointing):
            return last.things if len(last.things) >= many else self._named[-many:]  # "both": one of them before that
        if not self._named and pronoun.text in _THE_LOT:
            return [replace(pronoun, letter="E")]
        return self._named[-max(many, 1 + plural) :]  # only spoken of: "is it the camera and the suction?"

    def _hinted_at(self, pronoun: Token, letters: str, tokens: list[Token]) -> list[Token]:
        """Where nothing was named, the "it" of an order that only machines get is what was hinted at before it."""
        things, before = self._things, [hint for hint in self._hinted if hint.end <= pronoun.start]
        if self._named or "b" in letters or pronoun.text in things.announced:
            return []  # "it is dead" complains
        if any(token.letter == "h" for token in tokens):
            return []  # "the wire, hold it"
        all_halted = all(token.text in things.halted for token in tokens if token.letter in "vx")
        if not all_halted or pronoun.text in things.plural:
            before = [hint for hint in before if hint.letter != HINT]  # "there's a puddle, get rid of it"
        clearest = [hint for hint in before if hint.letter == "M"] or before
        hints = {hint.text: replace(hint, letter="M") for hint in clearest}
        return list(hints.values()) if len(hints) == 1 else []
