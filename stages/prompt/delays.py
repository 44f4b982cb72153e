"""When: "in five minutes", "another ten minutes, then ...", "at half past ten". Runs in the prompt process."""

import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from stages.prompt.amounts import Amounts
from stages.prompt.clock import Clock
from stages.prompt.language import Language
from stages.prompt.tokens import Token

_ASIDE: Final = 7  # words and marks, at most, that somebody thinks aloud before he says how long
_PURPOSE: Final = 10  # words and marks, at most, of what a time is for: "three minutes for the heparin to ..., then"
_VAGUE: Final = 4  # words and marks, at most, that make an amount vague
_ENDS: Final = frozenset(".!?;")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_AT: Final = frozenset(("at", "by"))
_GIVEN: Final = frozenset(("it", "him", "her", "them", "me", "us"))
_WHO: Final = frozenset(("you", "we", "i"))
_UNTIL: Final = frozenset(("until", "till", "before"))
_MAY: Final = frozenset(("can", "may", "could", "should"))
_NOW_ON: Final = frozenset(("on", "off", "out"))
_COUNTS: Final = frozenset(("count", "counting"))
RECENT_S: Final = 1800.0  # "twenty minutes ago" is as good as now


class _Opening(NamedTuple):
    """What a delay begins with, and where its number may stand. `counted`: a time follows; `given`: "give it ..."."""

    number: int
    counted: bool
    given: bool


class Delays:
    """Reads in the words of an utterance when something is to be."""

    def __init__(self, language: Language, amounts: Amounts) -> None:
        times = language.times
        self._amounts = amounts
        self._units = language.units
        self._clock = Clock(language.numbers)
        self._waits = frozenset(times.waits)
        self._roughly = frozenset(times.roughly)
        self._about = frozenset(times.about)
        self._correcting = frozenset((",", *times.correcting))
        self._small = frozenset(times.small)
        self._long = frozenset(times.long)
        self._closing = frozenset(times.closing)
        self._from_now = tuple(phrase.split() for phrase in times.from_now)
        verbs = language.verbs
        ordering = (*verbs.start, *verbs.stop, *verbs.standby, *verbs.open, *verbs.place)
        self._ordering = frozenset(verb.partition(" ")[0] for verb in ordering)
        self._starts = amounts.first_words | _COUNTS | {"in", "after", "within", "not", "say", "give"}
        self._begin = self._starts | _AT | self._about | {"for"}

    def may_begin(self, word: str) -> bool:
        """Whether a time or an amount may begin with a word, "at" and "for" before it counted in."""
        return word in self._begin or word[0].isdigit()

    def delay(self, words: list[str], at: int, begins: bool) -> Token | None:
        """ "in five minutes", "ten seconds from now", "two minutes, then ...", "count to ten, then ..."; a time of day.

        `begins`: a clause begins here.
        """
        if words[at] in self._about and at + 1 < len(words):
            past = self.delay(words, at + 1, False)
            if past is not None and not past.letter:  # "went on about twenty minutes ago"
                return replace(past, start=at)
        if end := self._time_of_day(words, at, begins):
            return _later(words, at, end)
        if words[at] not in self._starts and not words[at][0].isdigit():
            return None
        if words[at] in _COUNTS and (first := self._counted_to(words, at + 1)):
            number, end = self._amounts.amount(words, first)
            nothing_waits = words[at] == "counting" or words[end : end + 1] in ([], ["."], ["!"])
            return None if number is None or nothing_waits else _later(words, at, end, number or 0.0)
        if words[at] == "in" and _YEAR.fullmatch(" ".join(words[at + 1 : at + 2])):
            return Token("Z", " ".join(words[at : at + 2]), at, at + 2)
        opening = self._opening(words, at)
        number, end = self._amounts.amount(words, opening.number)
        if number is None:
            return None
        end = self._behind_second_thoughts(words, end)
        unit = words[end] if end < len(words) else ""
        if unit in self._long and words[at] == "after":
            return Token("_", " ".join(words[at : end + 1]), at, end + 1)  # "after seven years" puts nothing off
        if words[at : at + 2] == ["not", "in"]:  # "not in five minutes: now"
            return Token("", "", at, end + 1) if unit in self._units else None
        if unit not in self._units:
            minutes = words[at] == "in" and number > 1 and self._is_of_minutes(words, end, number, begins)
            return _later(words, at, end, 60.0 * number) if minutes else None
        end, seconds = end + 1, number * self._units[unit]
        if words[end : end + 3] == ["and", "a", "half"]:
            end, seconds = end + 3, seconds + 0.5 * self._units[unit]
        return self._behind_unit(words, at, self._behind_or_so(words, end), seconds, opening, begins)

    def _opening(self, words: list[str], at: int) -> _Opening:
        """Where the number is to stand, behind "in about", "give it", "not for another", "say,"."""
        at += 2 * (words[at : at + 2] == ["say", ","])  # "suction off, say, half a minute from now"
        if words[at : at + 2] == ["not", "for"]:  # "suction on, but not for another two minutes"
            counted, given, number = True, False, at + 2
        else:
            given = words[at : at + 1] == ["give"] and words[at + 1 : at + 2] != [] and words[at + 1] in _GIVEN
            negated = words[at : at + 2] == ["not", "in"]
            counted = given or negated or words[at : at + 1] in (["in"], ["after"], ["within"])
            number = at + counted + given + negated
        number = self._behind_aside(words, number) if counted else number
        return _Opening(self._behind_roughly(words, number), counted, given)

    def _behind_second_thoughts(self, words: list[str], at: int) -> int:
        """Where the unit is to stand: "in two, no, three minutes", "in a wee while"."""
        again = self._behind_roughly(words, at) if words[at : at + 1] == [","] else at
        while words[again : again + 1] and words[again] in self._correcting:
            again += 1
        if again > at + 1:
            again = self._amounts.amount(words, again)[1]
            at = again if words[again : again + 1] and words[again] in self._units else at
        while words[at : at + 1] and words[at] in self._small:
            at += 1
        return at

    def _is_of_minutes(self, words: list[str], at: int, number: float, begins: bool) -> bool:
        """Whether a number without a unit is of minutes: "in five, we ...", "in ten, please"."""
        follows = words[at] if at < len(words) else ""
        switched = not _NOW_ON.isdisjoint(words[max(0, at - 3) : at - 2])  # "lights off in ten, I am still scrubbing"
        behind = switched or not self._closing.isdisjoint(words[at + 1 : at + 2])
        closing = follows == "," and number > 2 and behind
        return closing or follows in ("", ".", "!") or (begins and (follows == "," or follows in _WHO))

    def _behind_or_so(self, words: list[str], at: int) -> int:
        """Behind "or two", "or so", "on the clock", "go by"."""
        if words[at : at + 1] == ["or"] and (
            words[at + 1 : at + 2] in (["so"], ["thereabouts"]) or self._amounts.is_number(words[at + 1 : at + 2])
        ):
            at += 2
        if words[at : at + 1] in (["on"], ["by"]) and "clock" in words[at + 2 : at + 4]:  # "by the wall clock"
            at = words.index("clock", at) + 1
        if words[at : at + 1] in (["pass"], ["elapse"]) or words[at : at + 2] == ["go", "by"]:
            at += 1 + (words[at] == "go")
        return at

    def _behind_unit(
        self, words: list[str], start: int, end: int, seconds: float, opening: _Opening, begins: bool
    ) -> Token | None:
        """What a time is that ends at `end`: it puts something off, or it tells how long ago, or it is none."""
        if words[max(0, start - 3) : start - 2] == ["give"] and words[start - 2] in self._amounts.articles:
            end = _until_then(words, end)  # "give the lung a minute to come down, then ..."
            return _later(words, start, end, seconds) if end else None
        if opening.given and words[end : end + 1] == ["first"]:  # "suction off, but give us two minutes first"
            return _later(words, start, end + 1, seconds)
        if opening.given and words[start + 1] != "it":
            waits = words[start + 1] not in ("me", "us") and words[end : end + 1] in ([","], ["and"])
            end = end if waits else _until_then(words, end)
            return _later(words, start, end, seconds) if end else None
        if words[end : end + 1] == ["before"]:
            before = words[max(0, start - 4) : start + opening.given]
            if not self._waits.isdisjoint(before):  # "leave it five minutes before you start the argon"
                behind = words[end + 1 : end + 2]
                return _later(words, start, end + 1 + (behind != [] and behind[0] in _WHO), seconds)
            if not opening.counted and not _until_allowed(words, end):  # "ten minutes before the end"
                return Token("A", " ".join(words[start : end + 1]), start, end + 1)
        if words[end : end + 1] == ["later"]:
            return _later(words, start, end + 1, seconds)
        if from_now := next((told for told in self._from_now if words[end : end + len(told)] == told), []):
            return _later(words, start, end + len(from_now), seconds)
        if until := _until_allowed(words, end):  # "another five minutes until you can stop the suction"
            return _later(words, start, until, seconds)
        if words[end : end + 1] in (["ago"], ["back"]) and seconds <= RECENT_S:
            return Token("", "", start, end + 1)
        follows = opening.counted or self._goes_on(words, end, begins)
        return _later(words, start, end, seconds) if follows else None

    def _counted_to(self, words: list[str], at: int) -> int:
        """Where the number stands that somebody counts to: "to ten", "a slow thirty"; or 0."""
        for counted in ("to", "down from"):
            to = counted.split()
            for start in range(at, at + 2):
                if words[start : start + len(to)] == to:
                    return start + len(to)
        while words[at : at + 1] and (words[at] in self._amounts.articles or words[at].startswith("slow")):
            at += 1
        return at if words[at : at + 1] and self._amounts.counted(words[at]) else 0

    def _behind_aside(self, words: list[str], at: int) -> int:
        """Behind a pause or an aside, if how long it is follows: "in, let me think, ten minutes"."""
        if words[at : at + 1] != [","]:
            return at
        ends = [end + 1 for end in range(at, min(len(words), at + _ASIDE)) if words[end] in (",", "say")]
        return next((end for end in ends if self._amounts.duration(words, self._behind_roughly(words, end))), at)

    def _behind_roughly(self, words: list[str], at: int) -> int:
        """Behind what makes an amount vague: "in about", "in, say,"."""
        start = at
        if words[at : at + 2] == ["a", "little"] and not self._roughly.isdisjoint(words[at + 2 : at + 3]):
            at += 2  # "in a little under ten minutes"
        while at < min(len(words), start + _VAGUE) and (
            words[at] in self._roughly or (words[at] == "," and not self._roughly.isdisjoint(words[at - 1 : at + 2]))
        ):
            at += 1
        return at

    def _goes_on(self, words: list[str], at: int, begins: bool) -> bool:
        """Whether something follows on a time that was said: "two minutes, then ...", "a minute more and we ..."."""
        if words[at : at + 1] in (["of"], ["for"], ["on"], ["with"]):  # "ten more minutes of suction, then turn it off"
            return begins and "then" in words[at : at + _PURPOSE]
        if words[at : at + 1] == [","] and words[at + 2 : at + 4] == [",", "and"]:
            at += 2  # "sixty more seconds, Anna, and you ..."
        following = [word for word in words[at : at + 7] if word not in (",", "more", "please")]
        if "then" in following[: 1 + (following[:1] == ["and"])] or following[1:3] == ["and", "then"]:
            return True  # also behind a name: "two minutes, Anna, and then ..."
        goes_on = self._ordering | self._amounts.articles | _WHO
        return begins and following[:1] == ["and"] and not goes_on.isdisjoint(following[1:2])

    def _time_of_day(self, words: list[str], at: int, begins: bool) -> int:
        """Where "at half past ten", "by noon", "at the ten minute mark" ends, or "ten past" alone."""
        first = at + (words[at] in _AT)
        while words[first : first + 1] and words[first] in self._about:
            first += 1
        if first == at:
            end = self._clock.time(words, at, False) if begins else 0
            return end if words[end : end + 1] == ["that"] or words[end - 1] == "sharp" else 0
        if words[first : first + 1] == ["the"]:
            _, end = self._amounts.amount(words, first + 1)
            if words[end + 1 : end + 2] == ["mark"]:
                return end + 2
        alone = begins and (words[at] == "at" or not (words[first + 1 : first + 2] or [","])[0].isalnum())
        end = self._clock.time(words, first, alone)
        return 0 if words[end : end + 1] and words[end] in self._amounts.measures else end


def _later(words: list[str], start: int, end: int, seconds: float | None = None) -> Token:
    said = " ".join(words[start:end])
    return Token("D", said, start, end) if seconds is None else Token("D", said, start, end, delay_s=seconds)


def _until_allowed(words: list[str], at: int) -> int:
    """Where "until you can" ends, or 0."""
    until, who, may = (*words[at : at + 3], "", "", "")[:3]
    return at + 3 if until in _UNTIL and who in _WHO and may in _MAY else 0


def _until_then(words: list[str], at: int) -> int:
    """Where "five minutes on oxygen first" ends if "then" follows, else 0."""
    for end in range(at, min(len(words), at + 8)):
        if words[end] == "then":
            return next(i for i in range(end, at - 1, -1) if words[i - 1] not in (",", "and"))
        if words[end] in _ENDS:
            break
    return 0
