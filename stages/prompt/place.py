"""Where a construction stands, and whether it counts there. Runs in the prompt process."""

import re
from typing import Final, NamedTuple

from stages.prompt.grammar import ORDERS
from stages.prompt.language import Language
from stages.prompt.tokens import Sentence, Token
from stages.prompt.work import by_hand, is_worked_on

# "tell the nurse to", "could I trouble you, Anna, to", "nobody is to", "you are not to", "please to"
_TOLD_TO: Final = re.compile(r"(?:(?:[mp][dmaOM_I]{0,3}|wI)(?:,[_m]{1,2},)?|nb|Ibn|PI?)u$")
_PREVENTED: Final = re.compile(r"from \w+ing ")  # "stop the lights from going off"
_TAKEN_BACK: Final = re.compile(r"R|c,")
_PRESENT: Final = re.compile(r"[MGF](?:b|H)")
_PAST: Final = frozenset("SVXY")
_BARE: Final = re.compile(r"[da]*M[of]")
_NAMED: Final = frozenset("MGF")
_WANTED: Final = frozenset(("needed", "required"))
_ANOTHER: Final = frozenset(("a", "an", "new"))
_THIRD: Final = frozenset(("they", "he", "she"))
_NO_REQUEST: Final = frozenset("_l+BofzreVXYSWEFMGnN0cx")  # before a bare "suction please"

_OF_WHAT: Final = tuple(f"of {what} " for what in ("this", "that", "it", "them", "him", "her", "me", "us", "you"))
_BROKEN: Final = frozenset(("dead", "down", "gone", "out"))
_OURS: Final = frozenset(("i", "we"))
_NEEDLESS: Final = frozenset(("does not need", "doesn't need", "no longer needs"))
_FORBIDDING: Final = frozenset(("don't", "dont", "do not", "never", "no need to", "must not", "should not"))
_ASKING: Final = ("where ", "time for", "it is time for")
_OBLIGED: Final = frozenset("mw")
_NO_ORDER: Final = _NO_REQUEST - {"W"}  # "it is too dark"


class Place(NamedTuple):
    """A construction: its tokens, and what stands around it."""

    rule: str
    tokens: list[Token]
    lead: str  # the letters before it in its clause
    subject: str  # the pronoun in the lead, or ""
    following: str  # the letter behind it, or ""
    called: bool  # "please", "now" or "would you" behind it
    told_before: bool  # something was told before, which it may speak of
    corrected: bool  # and corrects what was told before it
    refused: bool  # what was told before is not wanted
    at_end: bool  # nothing but manners behind it
    waits: bool  # for a condition that comes once: "after the lobe is out, we connect the drain"
    joined: bool  # "and" stands before its clause, and what was told before does not start anything


def counts_in_story(place: Place, sentence: Sentence, language: Language) -> bool:
    """Whether it counts beside a story: an order does, a call ("argon off please"), or a bare "argon off" alone.

    Beside a story of another day what is so now counts too: "since Sunday I have a cold, and the camera is on".
    """
    if place.tokens[0].letter == "0":
        return False  # "in the old days we had no pump"
    called = place.called or place.lead.endswith(("P", "t"))
    ordered = place.rule in ORDERS or (place.rule == "state" and (called or _is_bare(place, sentence)))
    if not ordered and _is_so_now(place):
        return all(token.text in language.moods.past for token in sentence.tokens if token.letter == "Z")
    told = place.tokens[0].letter in _PAST  # "in March, somebody stopped it"
    told_by = "I" in place.lead and not (place.rule in ("want", "wish") and place.lead == "I")
    return ordered and not told_by and not place.tokens[0].ing and not told


def _is_so_now(place: Place) -> bool:
    """Whether it is a clause of its own that tells how a machine is: "the camera is on", "it has been turned off"."""
    letters = "".join([token.letter for token in place.tokens])
    present = _PRESENT.search(letters) is not None and "B" not in letters
    had = place.rule == "fact" and place.lead.strip("&") in ("IH", "IHH")  # "I have got the suction running"
    return had or (place.rule in ("state", "passive") and present and not place.lead.strip("&"))


def _is_bare(place: Place, sentence: Sentence) -> bool:
    """Whether it is an "argon off" between two pauses, behind a clause of no machine that begins no story."""
    letters = "".join([token.letter for token in place.tokens])
    if place.lead or place.following not in ("", ",") or _BARE.fullmatch(letters) is None:
        return False
    earlier, _, before = sentence.letters[: sentence.tokens.index(place.tokens[0])].rstrip(",").rpartition(",")
    return before != "" and _NAMED.isdisjoint(before) and (earlier != "" or "Z" not in before)


def counts(place: Place, sentence: Sentence, language: Language) -> bool:
    """Whether what stands before and behind a construction lets it count."""
    rule, lead, first = place.rule, place.lead, place.tokens[0]
    if place.following == "!" and any(token.letter == "E" for token in place.tokens):
        return False  # but for what nobody knows
    if first.text.endswith(" away") and any(token.letter == "E" for token in place.tokens):
        return False  # "suck it all away"
    if rule == "unknown" and first.letter in "vxw" and not _is_device(place.tokens[-1].text, language):
        return False
    if first.letter in _PAST and (lead.endswith("mH") or _before(place, sentence) in ("nearly", "almost")):
        return False  # "we ought to have turned it off", "I nearly turned it off"
    if _behind(place, sentence).startswith(language.elsewhere):
        return False
    if rule not in ("unnamed", "correction") and any(token.unnamed for token in place.tokens) and "_" in lead:
        return False  # "the board would like a picture"
    if rule == "want" and place.tokens[-1].unnamed and _behind(place, sentence).startswith(_OF_WHAT):
        return False  # "I want a picture of this"
    if rule == "state" and place.tokens[-1].text in _BROKEN and any(token.unnamed for token in place.tokens):
        return False  # "my Yankauer is dead" complains too
    if (
        rule == "cancel"
        and place.tokens[-1].letter == "W"
        and not place.told_before
        and _TAKEN_BACK.search(sentence.letters)
    ):
        return False  # "start it, actually, never mind, skip it"
    if rule == "cancel" and place.tokens[-1].unnamed and (first.letter == "0" or first.text.endswith("lost")):
        return False  # "no light at all" and "we have lost the picture" complain
    if rule == "want" and first.text.startswith(_ASKING) and not any(token.unnamed for token in place.tokens):
        return False  # "where is my camera" asks, and so does "time for suction"
    if rule == "cancel" and first.letter == "e" and place.tokens[-1].letter == "M" and place.tokens[-1].names:
        return False  # "done, suction next", but "done scanning"
    if rule == "fronted":
        return _fronted_counts(place.tokens, language)
    if rule in ORDERS:
        return _is_ordered(place, sentence, language)
    if rule == "fact":  # what others did is a story
        return place.subject not in _THIRD and not lead.endswith(("B", "l", "d"))
    if rule == "also":
        return place.told_before and _says_too(place, sentence, language)
    if rule == "contrast" and place.corrected:
        return False  # "sorry, the lights, not the camera" said it already
    if rule in ("contrast", "again"):
        return place.told_before
    if rule == "patient":
        handled = place.tokens[-1].text in language.things.held  # "we are on camera"
        of_whom = place.subject in ("he", "she") or (place.subject == "we" and place.following == "t")
        weaned = not lead and first.text in ("come", "coming", "go")  # "come off bypass"
        return (first.letter == "O" and place.subject != "they") or ((of_whom or weaned) and not handled)
    if rule == "phrase" and _behind(place, sentence).startswith(language.less):
        return False  # "bring the ultrasound down"
    if rule == "activity" and place.joined and not lead:
        return False  # "pause the camera and suctioning"
    if rule == "request" and first.start and _before(place, sentence) == "no":  # "wait, no suction please"
        return False
    if rule == "request" and place.tokens[-1].letter == "p" and not place.tokens[-1].text.startswith("if "):
        return False  # "the suction, could you"
    if rule == "request" and "b" in lead:
        return False  # "she is warmer now"
    if rule in ("phrase", "request", "activity"):
        return _NO_REQUEST.isdisjoint(lead) or (rule == "activity" and lead.endswith("I"))
    if rule == "more":
        return first.text in language.things.some and place.tokens[-1].unnamed  # of what has a name it is only more
    if rule == "unnamed":
        return _is_asked_for(place, sentence, language)
    if rule == "correction":
        return True
    if rule == "passive" and any(token.letter == "B" for token in place.tokens):  # "was stopped a moment ago"
        return _is_recent(place, sentence)
    if rule == "passive" and first.letter == "W" and place.tokens[1].letter in _PAST:
        return False  # "it stopped": the bleeding, perhaps
    if rule in ("state", "passive") and place.subject in _THIRD and lead.endswith("_"):
        return False  # "he wanted the lights off"
    if rule == "state" and place.following == "u" and any(token.letter == "b" for token in place.tokens):
        return False  # "everything is off to a good start"
    if rule == "state" and "n" in lead:  # "no one turns the ventilator off"
        return False
    if rule == "state" and place.refused and place.tokens[-1].text in _WANTED:
        return False  # "no more suction and irrigation needed"
    if (
        rule == "state"
        and first.letter in "ofz"
        and place.tokens[-1].letter in "MGF"
        and not first.text.endswith("with")
    ):  # "on the lights"
        letters = "".join([token.letter for token in place.tokens])
        called = "W" in letters or letters[1] in "Ptb" or lead[-1:] in ("p", "P")  # "off please, with the ..."
        return called or (first.letter == "f" and place.at_end)
    if (
        rule == "state" and lead[-2:] in ("_b", "mb") and _before(place, sentence) in ("is", "are")
    ):  # "Chen, is the suction on"
        return False
    if rule == "state" and first.letter == "W" and lead.endswith("_"):  # "pull it off"
        return False
    return not lead.endswith(("l", "o", "f", "x", "v", "h", "B", "+", "I", "wb"))


def _is_ordered(place: Place, sentence: Sentence, language: Language) -> bool:
    rule, lead, first, following = place.rule, place.lead, place.tokens[0], place.following
    if lead.endswith("B") or (lead.endswith("u") and not _is_told_to(place, sentence)):
        return False
    if _PREVENTED.match(_behind(place, sentence)):
        return False
    if "p" in lead and first.letter == "J":
        return False  # "would you be happier with the suction off"
    if rule == "wish" and (lead or not _ANOTHER.isdisjoint(token.text for token in place.tokens)):
        return False  # "I doubt that suction would help", "a new camera would be nice"
    if not {"p", "n"}.isdisjoint(lead) and first.letter == "N" and first.text.endswith("without"):
        return False  # "can you do without the suction", "you can't manage without it"
    if "n" in lead and _behind(place, sentence).startswith("without "):
        return False  # "never stop the suction without asking"
    if first.ing and lead.endswith("N") and _before(place, sentence).endswith("with"):
        return False  # "done with starting the suction" has started it
    if first.ing and (lead.endswith(("l", "_", "d", "+")) or following in ("b", "B", "%")):
        return False
    if first.letter == "0" and lead.endswith(("b", "B", "H")):  # "there is no suction"
        return False
    needs = first.text == "needs" and any(token.unnamed for token in place.tokens)  # "he needs some air"
    needs = needs or first.text in _NEEDLESS or (first.text == "no more" and lead.endswith("w"))
    if (place.subject in _THIRD and not needs) or (
        rule == "want" and place.subject == "you" and not first.text.startswith("give")
    ):
        return False
    if rule == "want" and _behind(place, sentence).startswith(language.less):
        return False
    return not (
        place.subject and not place.waits and first.text.split()[0] in language.habits and lead.endswith(("I", "b"))
    )


def _is_asked_for(place: Place, sentence: Sentence, language: Language) -> bool:
    """Whether "flush it" is an order and no habit ("we flush it"), and not for a hand ("with the syringe")."""
    lead, verb = place.lead, place.tokens[0]
    if lead.endswith("n") and verb.letter != "3":
        forbids = sentence.tokens[sentence.tokens.index(verb) - 1].text in _FORBIDDING  # "not too dark" does not
        lead = lead[:-1] if forbids else lead
    if not _NO_ORDER.isdisjoint(lead) or place.subject in _THIRD:
        return False
    wanted = not _OBLIGED.isdisjoint(lead) or verb.text.split()[0] in language.verbs.want  # "I need it dark"
    if not wanted and (lead.endswith("I") or place.subject in _OURS):
        return False  # "I can see the needle"
    clause = _behind(place, sentence).partition(" , ")[0]
    if by_hand(clause, language):
        return False
    if verb.letter != "3":
        return True
    if lead.endswith("b") or (lead.endswith("u") and not _is_told_to(place, sentence)):
        return False
    if verb.end - verb.start > len(verb.text.split()):
        return True  # "suck that up"
    return is_worked_on(clause.split(), " " in verb.text or not place.at_end, language)


def _fronted_counts(tokens: list[Token], language: Language) -> bool:
    """ "The suction you can stop": not what the speaker can do, what another wants, or a habit ("we use")."""
    letters = "".join([token.letter for token in tokens])
    subject = next((token.text for token in tokens if token.letter == "I"), "")
    wanted, negated = "w" in letters, "n" in letters
    if subject in _THIRD or (wanted and subject == "you" and not negated):
        return False
    if subject == "i" and not (wanted or negated) and ("%" in letters or tokens[-1].text in language.habits):
        return False
    return negated or "%" in letters or tokens[-1].text not in language.habits


def _is_recent(place: Place, sentence: Sentence) -> bool:
    """Whether what was done was done just now: "was stopped a minute ago"; amounts.py left out what is recent."""
    behind = sentence.words[place.tokens[-1].end :][:4]
    noted = place.following == "D" and behind[:1] == ["at"]  # "was stopped at nine fifteen"
    return noted or "ago" in behind or behind[:2] == ["just", "now"]


def _is_told_to(place: Place, sentence: Sentence) -> bool:
    """Whether somebody is told to do what follows: "ask Anna to", and "you are to", but no "we are to"."""
    before = sentence.letters[: sentence.tokens.index(place.tokens[0])]
    return _TOLD_TO.search(before) is not None or (place.subject == "you" and place.lead.endswith("Ibu"))


def _says_too(place: Place, sentence: Sentence, language: Language) -> bool:
    """ "And the irrigation too": of another machine the same, at the beginning of a sentence or with "too"."""
    first = place.tokens[0]
    begins = all(token.letter == "," for token in sentence.tokens if token.start < first.start)
    if place.following == "D" or _behind(place, sentence).startswith(language.too):
        return True  # "and the suction in two minutes"
    return (begins or first.text not in ("and", "then")) and first.text in language.things.also


def _before(place: Place, sentence: Sentence) -> str:
    """The word before it."""
    return sentence.words[place.tokens[0].start - 1]


def _behind(place: Place, sentence: Sentence) -> str:
    """The words behind it, each followed by a space."""
    return " ".join([*sentence.words[place.tokens[-1].end :], ""])


def _is_device(noun: str, language: Language) -> bool:
    things = language.things
    return noun in things.kinds or (noun.endswith(things.device_endings) and noun not in things.ordinary)
