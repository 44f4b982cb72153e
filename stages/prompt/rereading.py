"""Words whose kind only the rest of the sentence tells, read again once it is known. Runs in the prompt process."""

import re
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from stages.prompt.language import Language
from stages.prompt.tokens import Token

# Where "that" or "both" is no article but a machine: "turn that off", "stop that now", "both off", "off with both".
_POINTING: Final = re.compile(
    r"(?<=[skw])[da](?=[ofz](?![da]*[MGFWET_]))|(?<=s[ofz])d(?=[,&PtDA]|$)|(?<=[xvyN])[da](?=[PtK]*(?:,|$))"
    r"|(?<=[xvy])d(?=,[daO]*[MGF](?:[,&]+[daO]*[MGF])*[,P]*$)"  # "stop these: the suction and the pump"
    r"|(?<![^,&Pt])[da](?=(?:%b)?[ofz][Pt]*(?:,|$))|(?<=[of])[da](?=[,Pt]*$)"
)
# "Should the pressure drop, stop the anesthetic", "should we see blood, ..."
_SHOULD: Final = re.compile(r"(?<![^,&])%(?=[^I,][^,]*,|I[^,MFGTWE]*,)")
# "Were her pressure to drop, ..."
_WERE_TO: Final = re.compile(r"(?<![^,&])B(?=[^,]*u[^,]*,)")
# "The suction may be switched off", "... should be shut down": permitted or wanted, where a state is only supposed
_MAY: Final = re.compile(r"[MGFW](j)(?:b?(?:[VXY]|S[ofz]|[vx](?=[,.&PtUDA]|$))|b[ofz](?=,?[pP]))")
_NEITHER: Final = re.compile(
    r"(j)[daO]*M(?:&[daO]*M)+b+(?:[VXY]|S[ofz]|[ofr])"
)  # "neither the suction nor the pump is to be stopped"
_CANNOT: Final = re.compile(r"[MGFW](j)(?:(b)[of]|b?[VXY]|b?S[of])")  # "the ventilator can't go off"
_MUST: Final = re.compile(r"(?<=I)j(?=d[daO]*[MG][ofz])")  # "I must have the suction on"
_SUPPOSE: Final = re.compile(r"(?:^|(?<=,))Q(?=[dIOW])")  # "suppose she bleeds: suction on"
# "Everything off but the suction", where the suction has no state of its own; and "all", where something is excepted.
_OFF_BUT: Final = re.compile(r"(?:[Ea][ofz]|[xcy]E)[P,]*(&)(?=[daO]*(?:[MGF](?!%?b?n?[ofzre])|_))")
_ALL_BUT: Final = re.compile(r"a(?=(?:[ofz][P,]*)?!)")
_LAST: Final = r"(?=[,PtK]|&(?![daO]*[_+])|$)"
_OUT: Final = re.compile(rf"(M)(?:%?n?b|bn?ub|H|Hb)?(l)(?:{_LAST}|(?=[DU]))")  # "the headlight is out"
_OF: Final = re.compile(rf"[MGFEW](l){_LAST}")  # "suction of, please" is heard for "off"
_GOING_ON: Final = re.compile(r"M(r)o")  # "argon going on"; what is "going off" may be an alarm
_HOLD_ON: Final = re.compile(r"ho(?=,|$)")  # "suction off, hold on, ..."
_WERE: Final = re.compile(r"p[daO]*[MGFWE](?:&[daO]*[MGF])*(?:(B)|(j)b)")  # "it would help if the suction could be off"
_NOT_THAT: Final = re.compile(
    r"(?:^|(?<=[,.K]))R(?=,?(?:[da]*M[,P]*$|[of](?=[,Pt]|$)))"
)  # "scratch that, the insufflator"
_REFUSED: Final = frozenset(("cannot", "can't", "cant", "can not"))
_SUPPOSING: Final = frozenset(("suppose", "assume", "imagine"))


class Rereading:
    """`is_lamp`: whether a token is a lamp of this surgery, which may be "out"."""

    def __init__(self, language: Language, is_lamp: Callable[[Token], bool]) -> None:
        self._pronouns = frozenset((*language.things.pointing, *language.things.plural))
        self._halted = frozenset(language.things.halted)
        self._is_lamp = is_lamp

    def before_names(self, letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
        """What is read again before misheard names are looked for."""
        if "!" in letters or ("&" in letters and ("E" in letters or "a" in letters)):
            letters, tokens = _excepting(letters, tokens)
        return letters, tokens

    def after_names(self, letters: str, tokens: list[Token], *, asked: bool) -> tuple[str, list[Token]]:
        """The rest; `asked`: the sentence ends with a question mark."""
        if "%" in letters and (inverted := _SHOULD.search(letters)) is not None and ("P" in letters or not asked):
            letters, tokens = _put_if("should", "A", letters, tokens, inverted.start())
        if "B" in letters and (inverted := _WERE_TO.search(letters)) is not None and not asked:
            letters, tokens = _put_if("were", "A", letters, tokens, inverted.start())
        if "Q" in letters and not asked and (supposed := _SUPPOSE.search(letters)) is not None:
            at = supposed.start()
            if tokens[at].text in _SUPPOSING:
                letters, tokens = _put("A", letters, tokens, at)
        if "l" in letters:
            for found in _OUT.finditer(letters):
                if self._is_lamp(tokens[found.start(1)]):
                    letters, tokens = _put_if("out", "f", letters, tokens, found.start(2))
            for found in _OF.finditer(letters):
                letters, tokens = _put_if("of", "f", letters, tokens, found.start(1))
        if "p" in letters:
            for found in _WERE.finditer(letters):
                if tokens[found.start()].text.endswith(" if"):
                    at, letter = (found.start(1), "b") if found[1] else (found.start(2), "%")
                    letters, tokens = _put(letter, letters, tokens, at)
        if "j" in letters:
            for found in _MAY.finditer(letters):
                letters, tokens = _put_if("may", "%", letters, tokens, found.start(1))
                letters, tokens = _put_if("should be", "b", letters, tokens, found.start(1))
            for found in _CANNOT.finditer(letters):
                guessed = found[2] is not None and tokens[found.start(2)].text == "be"  # "it can't be on"
                if tokens[found.start(1)].text in _REFUSED and not guessed:
                    letters, tokens = _put("n", letters, tokens, found.start(1))
            for found in _MUST.finditer(letters):
                letters, tokens = _put_if("must have", "w", letters, tokens, found.start())
            for found in _NEITHER.finditer(letters):
                letters, tokens = _put_if("neither", "n", letters, tokens, found.start(1))
        if "R" in letters and (instead := _NOT_THAT.search(letters)) is not None:
            letters, tokens = _put("C", letters, tokens, instead.start())
        if (going := _GOING_ON.search(letters)) is not None:
            letters, tokens = _put_if("going", "b", letters, tokens, going.start(1))
        if (waits := _HOLD_ON.search(letters)) is not None:
            at, (held, on) = waits.start(), tokens[waits.start() : waits.end()]
            tokens = [*tokens[:at], replace(held, letter="K", text="hold on", end=on.end), *tokens[at + 2 :]]
            letters = f"{letters[:at]}K{letters[at + 2 :]}"
        for found in _POINTING.finditer(letters):
            letters, tokens = self._pointing(letters, tokens, found.start())
        return letters, tokens

    def _pointing(self, letters: str, tokens: list[Token], at: int) -> tuple[str, list[Token]]:
        """ "That", if it stands for a machine, as a pronoun."""
        before = tokens[at - 1] if at else None
        if tokens[at].text not in self._pronouns:
            return letters, tokens
        if before and before.letter in "xvy" and before.text not in self._halted:
            return letters, tokens
        if before and before.letter in "of" and not before.text.endswith(" with") and letters[at - 2 : at - 1] != "s":
            return letters, tokens
        return _put("W", letters, tokens, at)


def _put(letter: str, letters: str, tokens: list[Token], at: int) -> tuple[str, list[Token]]:
    return f"{letters[:at]}{letter}{letters[at + 1 :]}", [
        *tokens[:at],
        replace(tokens[at], letter=letter),
        *tokens[at + 1 :],
    ]


def _put_if(text: str, letter: str, letters: str, tokens: list[Token], at: int) -> tuple[str, list[Token]]:
    return _put(letter, letters, tokens, at) if tokens[at].text == text else (letters, tokens)


def _excepting(letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
    """ "But" as "except", and "all" as "everything", where machines are excepted."""
    tokens = list(tokens)
    for found in _OFF_BUT.finditer(letters):
        if tokens[found.start(1)].text == "but" and tokens[found.start()].text != "both":
            tokens[found.start(1)] = replace(tokens[found.start(1)], letter="!")
    letters = "".join([token.letter for token in tokens])
    for found in _ALL_BUT.finditer(letters):
        if tokens[found.start()].text == "all":
            tokens[found.start()] = replace(tokens[found.start()], letter="E")
    return "".join([token.letter for token in tokens]), tokens
