"""From words to tokens: one compiled alternation for each surgery. Runs in the prompt process.

Longer phrases win over shorter ones, whole words only, whatever the case; a hyphen and a space are the same.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stages.prompt.words import ADJUSTMENTS, DEVICE_NOUNS, PHRASES, Kind
from stages.surgery import Surgery

MatchType = Literal["trigger", "alias", "name"]

_KINDS: Final[dict[str, Kind]] = {phrase: kind for kind, phrases in PHRASES.items() for phrase in phrases}
_MARKS: Final[dict[str, Kind]] = {",": ",", ":": ",", "—": ",", "–": ","}
_ASIDES = re.compile(r"\([^)]*\)")
_DELAY = (
    r"in (?:about |around )?(?:(?:a|an|another|the|next|few|couple|of|\d+|[a-z]+) ){1,3}?"
    r"(?:seconds?|secs?|minutes?|mins?|moments?|hours?|bit|while)"
)
_BEFORE_PAUSE = r"(?! (?:standby|stand[ -]by|hold|pause)\b)"  # "suction on standby" is not "suction on"


@dataclass(frozen=True, slots=True)
class Mention:
    """A dictionary phrase: whose it is, and what it says besides the machine's name."""

    machine_id: str
    name: str
    words: str
    match_type: MatchType
    lead: Kind | None  # its first word is a verb: "start suction"
    trail: Kind | None  # its last word is a particle or a verb: "suction on"
    commands: bool  # a trigger phrase, a command by itself
    only_commands: bool  # and no name of the machine as well
    adjusts: bool
    bare_noun: bool  # a device noun alone, whose meaning a word before it changes


class Token(NamedTuple):
    """A piece of an utterance."""

    kind: Kind
    text: str
    mention: Mention | None = None


class Lexicon:
    """The phrases of one surgery, compiled."""

    def __init__(self, surgery: Surgery) -> None:
        self._mentions = _mentions(surgery)
        mention = _alternation(self._mentions)
        phrase = _alternation(phrase for phrase in _KINDS if " " in phrase)
        self._seek = re.compile(mention)
        self._lex = re.compile(
            rf"(?P<mention>{mention})|(?P<delay>\b{_DELAY}\b)|(?P<phrase>{phrase})"
            r"|(?P<word>'?\w+(?:['-]\w+)*)|(?P<mark>[,:—–])|(?P<end>[.;!?]+(?!\d))"
        )

    def tokens(self, text: str) -> list[Token]:
        """The tokens of an utterance; none at all if it names no machine."""
        text = " ".join(text.lower().replace("’", "'").split())
        if self._seek.search(text) is None:
            return []
        return [self._token(found) for found in self._lex.finditer(text)]

    def _token(self, found: re.Match[str]) -> Token:
        group, text = found.lastgroup, found.group()
        if group == "mention":
            return Token("mention", text, self._mentions[_plain(text)])
        if group == "delay":
            return Token("after", text)
        if group == "mark":
            return Token(_MARKS[text], text)
        if group == "end":
            return Token("end", text)
        return Token(_KINDS.get(_plain(text) if group == "phrase" else text, "word"), text)


def _mentions(surgery: Surgery) -> dict[str, Mention]:
    """Every phrase once: triggers before aliases before names, machines in the order of the file."""
    names = {
        machine.id: {_plain(phrase) for phrase in (*machine.aliases, _ASIDES.sub("", machine.name))}
        for machine in surgery.machines
    }
    found: dict[str, Mention] = {}
    for match_type in ("trigger", "alias", "name"):
        for machine in surgery.machines:
            phrases = {
                "trigger": machine.triggers,
                "alias": machine.aliases,
                "name": (_ASIDES.sub("", machine.name),),
            }[match_type]
            for words in filter(None, map(_plain, phrases)):
                first, last = _KINDS.get(words.split()[0]), _KINDS.get(words.split()[-1])
                trigger = match_type == "trigger"
                mention = Mention(
                    machine_id=machine.id,
                    name=machine.name,
                    words=words,
                    match_type=match_type,
                    lead=first if trigger and first in ("start", "stop", "standby") else None,
                    trail=last if trigger and last in ("on", "off", "start", "stop", "standby") else None,
                    commands=trigger,
                    only_commands=trigger and words not in names[machine.id],
                    adjusts=not ADJUSTMENTS.isdisjoint(words.split()),
                    bare_noun=not DEVICE_NOUNS.isdisjoint(words.split()[:1]),
                )
                found.setdefault(words, mention)
    return found


def _plain(phrase: str) -> str:
    return " ".join(phrase.lower().replace("-", " ").split())


def _alternation(phrases: Iterable[str]) -> str:
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return r"(?<!\w)(?<!\w-)(?:" + "|".join(map(_pattern, longest_first)) + r")(?!\w|-\w)"


def _pattern(phrase: str) -> str:
    words = "[ -]".join(re.escape(word) for word in phrase.split())
    return words + _BEFORE_PAUSE if phrase.endswith(" on") else words
