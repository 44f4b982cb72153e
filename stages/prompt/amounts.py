"""How much and when: "at six bar", "in five minutes", "at half past ten". Runs in the prompt process."""

import re
from typing import Final

from stages.prompt.clock import HOURS, Clock
from stages.prompt.language import Language
from stages.prompt.tokens import Token

_WAITS: Final = frozenset(("wait", "hold", "leave", "let", "give", "allow"))
_ROUGHLY: Final = frozenset(
    (
        "about",
        "around",
        "another",
        "roughly",
        "little",
        "under",
        "over",
        "the",
        "next",
        "say",
        "maybe",
        "perhaps",
        "approximately",
        "less",
        "than",
        "like",
        "just",
    )
)
_AT: Final = frozenset(("at", "by"))
_ABOUT: Final = frozenset(("around", "round", "about"))
_CORRECTING: Final = frozenset(
    (",", "no", "sorry", "wait", "actually", "make", "that", "it", "i", "mean", "or", "rather")
)
_ASIDE: Final = 7  # words and marks, at most, that somebody thinks aloud before he says how long
_PURPOSE: Final = 10  # words and marks, at most, of what a time is for: "three minutes for the heparin to ..., then"
_SMALL: Final = frozenset(("wee", "little", "short", "good", "tiny", "full", "brief"))
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_DIGITS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_GIVEN: Final = (["it"], ["him"], ["her"], ["them"], ["me"], ["us"])
_FROM_NOW: Final = (("from", "now"), ("from", "my", "mark"), ("from", "my", "signal"), ("from", "this", "moment"))
_CLOSING: Final = frozenset(("please", "all", "okay", "ok", "right", "thanks"))  # "in five, all right?"
_UNTIL: Final = frozenset(("until", "till", "before"))
_MAY: Final = frozenset(("can", "may", "could", "should"))
_LONG: Final = frozenset(f"{unit}{s}" for unit in ("day", "week", "month", "year") for s in ("", "s"))
RECENT_S: Final = 600.0  # "a minute ago" is as good as now


class Amounts:
    """Reads amounts in the words of an utterance."""

    def __init__(self, language: Language) -> None:
        self._units = language.units
        self._digits = language.numbers
        self._numbers = {tuple(words.split()): number for words, number in language.numbers.items()}
        self._measures = frozenset((*language.things.measures, *language.units))
        self._quantities = frozenset(language.things.quantities)
        self._articles = frozenset(words for words in language.glue.the if " " not in words)
        self._adjectives = frozenset(language.glue.adjective)
        self._starts = frozenset(
            ("in", "after", "within", "not", "say", "give", "count", *(first for first, *_ in self._numbers))
        )
        self._begin = self._starts | _AT | _ABOUT | {"for"}
        self._clock = Clock(language.numbers)

    def may_begin(self, word: str) -> bool:
        """Whether an amount may begin with a word, "at" and "for" before it counted in."""
        return word in self._begin or word[0].isdigit()

    def counted(self, word: str) -> bool:
        """Whether a word is a number."""
        return word[0].isdigit() or (word,) in self._numbers

    def setting(self, words: list[str], at: int) -> int:
        """Where "six bar" or "minus twenty, flow of two litres" ends, or 0: how much, which changes nothing else."""
        end = self._value(words, at)
        while end:
            more = end + (words[end : end + 1] == [","])
            if more + 1 >= len(words) or words[more] not in self._quantities:
                break
            more += 1 + (words[more + 1] in ("of", "at"))
            if not (more := self._value(words, more)):
                break
            end = more
        return end

    def duration(self, words: list[str], at: int) -> int:
        """Where "ten minutes" ends, or 0."""
        number, end = self._amount(words, at)
        return end + 1 if number is not None and end < len(words) and words[end] in self._units else 0

    def _value(self, words: list[str], at: int) -> int:
        if words[at : at + 1] and words[at] in self._adjectives and at + 1 < len(words):  # "low flow"
            return at + 2
        end = at + (words[at : at + 1] == ["minus"])
        first = end
        while end < len(words) and (words[end][0].isdigit() or (words[end],) in self._numbers):
            end += 1
        measured = end < len(words) and (words[end] in self._measures or words[end] == "per")
        if end == first or words[first] in self._articles:
            return 0
        number = self._number(words[first])  # None: with its unit, "5mm"
        if not (measured or first > at or end > first + 1 or number is None or number > HOURS):
            return 0
        end += measured and words[end] != "per"
        if words[end : end + 1] in (["of"], ["a"], ["per"]) and end + 1 < len(words):  # "of mercury", "a minute"
            end += 2
        return end

    def _number(self, word: str) -> float | None:
        """What a word counts, or None: "5mg" and "5pm" begin with a digit and are no number."""
        return float(word) if _DIGITS.fullmatch(word) else self._numbers.get((word,))

    def delay(self, words: list[str], at: int, begins: bool) -> Token | None:
        """ "in five minutes", "ten seconds from now", "two minutes, then ...", "count to ten, then ..."; a time of day.

        `begins`: a clause begins here.
        """
        if end := self._time_of_day(words, at, begins):
            return Token("D", " ".join(words[at:end]), at, end)
        if words[at] not in self._starts and not words[at][0].isdigit():
            return None
        if words[at] == "count" and (first := self._counted_to(words, at + 1)):
            number, end = self._amount(words, first)
            last = number is None or words[end : end + 1] in ([], ["."], ["!"])  # nothing waits for it
            return None if last else Token("D", " ".join(words[at:end]), at, end, delay_s=number or 0.0)
        start = at
        if words[at : at + 2] == ["say", ","]:  # "suction off, say, half a minute from now"
            at += 2
        at += 2 * (words[at : at + 2] == ["not", "for"])  # "suction on, but not for another two minutes"
        if words[at] == "in" and _YEAR.fullmatch(" ".join(words[at + 1 : at + 2])):
            return Token("Z", " ".join(words[at : at + 2]), at, at + 2)
        given = words[at] == "give" and words[at + 1 : at + 2] in _GIVEN  # "give it five minutes"
        counted = given or words[start] == "not" or words[at] in ("in", "after", "within")
        at += (counted and words[start] != "not") + given
        at = self._behind_aside(words, at) if counted else at
        at = _behind_roughly(words, at)
        number, at = self._amount(words, at)
        if number is None:
            return None
        again = _behind_roughly(words, at) if words[at : at + 1] == [","] else at
        while words[again : again + 1] and words[again] in _CORRECTING:  # "in two, no, three minutes"
            again += 1
        if again > at + 1:  # "in two, maybe three minutes"
            again = self._amount(words, again)[1]
            at = again if words[again : again + 1] and words[again] in self._units else at
        while at < len(words) and words[at] in _SMALL:  # "in a wee while"
            at += 1
        unit = words[at] if at < len(words) else ""
        if unit in _LONG and words[start] == "after":
            return Token("_", " ".join(words[start : at + 1]), start, at + 1)  # "after seven years" puts nothing off
        if unit not in self._units:
            ends = (
                not unit
                or unit in (".", "!")
                or (unit == "," and number > 2 and not _CLOSING.isdisjoint(words[at + 1 : at + 2]))
            )
            if words[start] == "in" and number > 1 and (ends or (begins and unit in (",", "we", "i", "you"))):
                return Token("D", " ".join(words[start:at]), start, at, delay_s=60.0 * number)  # "in five, we ..."
            return None
        end, seconds = at + 1, number * self._units[unit]
        if words[end : end + 3] == ["and", "a", "half"]:
            end, seconds = end + 3, seconds + 0.5 * self._units[unit]
        if words[end : end + 1] == ["or"] and (
            words[end + 1 : end + 2] in (["so"], ["thereabouts"])
            or self._numbers.get(tuple(words[end + 1 : end + 2])) is not None
        ):
            end += 2  # "a minute or two"
        if words[end : end + 3] == ["on", "the", "clock"]:
            end += 3
        if words[end : end + 1] in (["pass"], ["elapse"]) or words[end : end + 2] == ["go", "by"]:
            end += 1 + (words[end] == "go")
        if given and words[end : end + 1] == ["first"]:  # "suction off, but give us two minutes first"
            return Token("D", " ".join(words[start : end + 1]), start, end + 1, delay_s=seconds)
        if given and words[start + 1] != "it":
            waits = words[start + 1] not in ("me", "us") and words[end : end + 1] in ([","], ["and"])
            end = end if waits else _until_then(words, end)
            return Token("D", " ".join(words[start:end]), start, end, delay_s=seconds) if end else None
        if words[end : end + 1] == ["before"] and not _WAITS.isdisjoint(words[max(0, start - 4) : start + given]):
            behind = words[end + 1 : end + 2]  # "leave it five minutes before you start the argon"
            end += 1 + (behind in (["you"], ["we"], ["i"]))
            return Token("D", " ".join(words[start:end]), start, end, delay_s=seconds)
        if words[end : end + 1] == ["before"] and not counted:  # "ten minutes before the end"
            return Token("A", " ".join(words[start : end + 1]), start, end + 1)
        if words[end : end + 1] == ["later"]:
            end += 1
        elif from_now := next((told for told in _FROM_NOW if tuple(words[end : end + len(told)]) == told), ()):
            end += len(from_now)
        elif until := _until_allowed(words, end):  # "another five minutes until you can stop the suction"
            end = until
        elif words[end : end + 1] == ["ago"] and seconds <= RECENT_S:
            return Token("", "", start, end + 1)
        elif not counted and not self._goes_on(words, end, begins):
            return None
        return Token("D", " ".join(words[start:end]), start, end, delay_s=seconds)

    def _counted_to(self, words: list[str], at: int) -> int:
        """Where the number stands that somebody counts to: "to ten", "a slow thirty"; or 0."""
        if "to" in words[at : at + 2]:
            return words.index("to", at) + 1
        while words[at : at + 1] and (words[at] in self._articles or words[at].startswith("slow")):
            at += 1
        return at if words[at : at + 1] and self.counted(words[at]) else 0

    def _behind_aside(self, words: list[str], at: int) -> int:
        """Behind a pause or an aside, if how long it is follows: "in, let me think, ten minutes"."""
        if words[at : at + 1] != [","]:
            return at
        ends = [end + 1 for end in range(at, min(len(words), at + _ASIDE)) if words[end] in (",", "say")]
        return next((end for end in ends if self.duration(words, _behind_roughly(words, end))), at)

    def _amount(self, words: list[str], at: int) -> tuple[float | None, int]:
        """The number that stands here, with its words: "twenty five", "five more", "one or two"; and where it ends."""
        number: float | None = None
        for length in (4, 3, 2, 1):
            if (number := self._numbers.get(tuple(words[at : at + length]))) is not None:
                at += length
                break
        else:
            if at < len(words) and _DIGITS.fullmatch(words[at]):
                number = float(words[at])
                at += 1
        if number is None:
            return None, at
        ones = self._digits.get(words[at], 10.0) if at < len(words) else 10.0
        if ones < 10 and words[at] not in self._articles:  # "twenty five"
            number, at = number + ones, at + 1
        if words[at : at + 1] in (["or"], ["to"]) and self._numbers.get(tuple(words[at + 1 : at + 2])) is not None:
            at += 2  # "a minute or two" stays with the first
        return number, at + (words[at : at + 1] == ["more"])

    def _goes_on(self, words: list[str], at: int, begins: bool) -> bool:
        """Whether something follows on a time that was said: "two minutes, then ...", "a minute more and we ..."."""
        if words[at : at + 1] in (["of"], ["for"]):  # "ten more minutes of suction, then turn it off"
            return begins and "then" in words[at : at + _PURPOSE]
        following = [word for word in words[at : at + 7] if word not in (",", "more", "please")]
        if "then" in following[: 1 + (following[:1] == ["and"])] or following[1:3] == ["and", "then"]:
            return True  # also behind a name: "two minutes, Anna, and then ..."
        return begins and following[:1] == ["and"] and following[1:2] in (["we"], ["i"], ["you"])

    def _time_of_day(self, words: list[str], at: int, begins: bool) -> int:
        """Where "at half past ten", "by noon", "at the ten minute mark" ends, or "ten past" alone."""
        first = at + (words[at] in _AT)
        while words[first : first + 1] and words[first] in _ABOUT:
            first += 1
        if first == at:
            end = self._clock.time(words, at, False) if begins else 0
            return end if words[end : end + 1] == ["that"] or words[end - 1] == "sharp" else 0
        if words[first : first + 1] == ["the"]:
            _, end = self._amount(words, first + 1)
            if words[end + 1 : end + 2] == ["mark"]:
                return end + 2
        alone = begins and (words[at] == "at" or not (words[first + 1 : first + 2] or [","])[0].isalnum())
        end = self._clock.time(words, first, alone)
        return 0 if words[end : end + 1] and words[end] in self._measures else end


def _behind_roughly(words: list[str], at: int) -> int:
    """Behind what makes an amount vague: "in about", "in, say,"."""
    start = at
    if words[at : at + 2] == ["a", "little"] and words[at + 2 : at + 3] and words[at + 2] in _ROUGHLY:
        at += 2  # "in a little under ten minutes"
    while at < min(len(words), start + 4) and (
        words[at] in _ROUGHLY or (words[at] == "," and not _ROUGHLY.isdisjoint(words[at - 1 : at + 2]))
    ):
        at += 1
    return at


def _until_allowed(words: list[str], at: int) -> int:
    """Where "until you can" ends, or 0."""
    until, who, may = (*words[at : at + 3], "", "", "")[:3]
    return at + 3 if until in _UNTIL and who in ("you", "we", "i") and may in _MAY else 0


def _until_then(words: list[str], at: int) -> int:
    """Where "five minutes on oxygen first" ends if "then" follows, else 0."""
    for end in range(at, min(len(words), at + 8)):
        if words[end] == "then":
            return next(i for i in range(end, at - 1, -1) if words[i - 1] not in (",", "and"))
        if words[end] in (".", "!", "?", ";"):
            break
    return 0
