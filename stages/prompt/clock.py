"""Times of day: "at half past ten", "by noon", "14:30". Runs in the prompt process."""

from collections.abc import Mapping
from typing import Final

HOURS: Final = 12  # "on at three" may be a time of day, "on at sixty" is a setting
_DAY: Final = 24
_LATE: Final = 10  # from here on two numbers are a time, where "one twenty" may be a pressure
_WORDS: Final = (("noon",), ("midnight",), ("the", "top", "of", "the", "hour"), ("the", "hour"))
_BEHIND: Final = frozenset(("o'clock", "sharp", "am", "pm", "exactly"))
_QUARTERS: Final = frozenset((15.0, 30.0, 45.0))
_TENS: Final = frozenset((10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0))


class Clock:
    """Reads a time of day in the words of an utterance."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        """`numbers`: what each number word counts, articles such as "a" among them."""
        self._numbers = {word: number for word, number in numbers.items() if " " not in word and number >= 1}

    def time(self, words: list[str], at: int, begins: bool) -> int:
        """Where a time of day ends, or 0. `begins`: a clause begins with it, so that "ten", too, is one."""
        for phrase in _WORDS:
            if tuple(words[at : at + len(phrase)]) == phrase:
                return at + len(phrase)
        if end := self._past(words, at) or self._digits(words, at):
            return self._behind(words, end)
        hour, end = self._number(words, at)
        if hour is None or hour > HOURS or words[at] in ("a", "an"):
            return 0
        minute, later = self._number(words, end + (words[end : end + 1] == ["oh"]))
        if minute in _TENS or words[end : end + 1] == ["oh"]:
            sharp = self._behind(words, later)
            told = begins or hour >= _LATE or sharp > later or (hour > 1 and minute in _QUARTERS)
            return sharp if told else 0
        sharp = self._behind(words, end)
        return sharp if sharp > end or begins else 0

    def _past(self, words: list[str], at: int) -> int:
        """Where "quarter past ten", "twenty to", "half past" ends."""
        at += words[at : at + 1] == ["a"]
        if words[at : at + 1] == ["half"] and (self._number(words, at + 1)[0] or HOURS + 1) <= HOURS:
            return at + 2  # "at half seven"
        if words[at : at + 1] in (["quarter"], ["half"]):
            end = at + 1
        else:
            minute, end = self._number(words, at)
            end = end if minute is not None else 0
        if not end or words[end : end + 1] not in (["past"], ["to"], ["till"]):
            return 0
        hour, last = self._number(words, end + 1)
        if hour is None and words[end] == "to":
            return end + 1 if words[at] == "quarter" and words[end + 1 : end + 2] in ([], ["."], [","]) else 0
        return last if hour is not None and hour <= _DAY else end + 1

    def _digits(self, words: list[str], at: int) -> int:
        """Where "14:30" or "14.30" ends: in words "14", ":", "30"."""
        hour, colon, minute = (*words[at : at + 3], "", "", "")[:3]
        if hour.isdecimal() and colon == ":" and minute.isdecimal() and int(hour) < _DAY and len(minute) == 2:
            return at + 3
        whole, _, part = hour.partition(".")
        pointed = whole.isdecimal() and part.isdecimal() and len(part) == 2
        return at + 1 if pointed and int(part) < 60 and _LATE <= int(whole) < _DAY else 0

    def _behind(self, words: list[str], end: int) -> int:
        while words[end : end + 1] and words[end] in _BEHIND:
            end += 1
        return end

    def _number(self, words: list[str], at: int) -> tuple[float | None, int]:
        if at >= len(words):
            return None, at
        number = float(words[at]) if words[at].isdecimal() else self._numbers.get(words[at])
        if number is None:
            return None, at
        ones = self._numbers.get(words[at + 1], 10.0) if at + 1 < len(words) else 10.0
        if number in (20.0, 30.0, 40.0, 50.0) and ones < 10 and words[at + 1] not in ("a", "an"):
            return number + ones, at + 2
        return number, at + 1
