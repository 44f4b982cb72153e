"""A setting that is called out orders its machine: "two percent sevo, please". Runs in the prompt process.

It does where it is a clause of its own; inside others it only tells how much.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from stages.prompt.amounts import Amounts
from stages.prompt.hints import kind_of
from stages.prompt.language import Language, plain
from stages.prompt.names import names
from stages.prompt.tokens import Mention, Token
from stages.prompt.unnamed import THING
from stages.surgery import Machine, Surgery

SET: Final = "$"  # letters of one, and of one of nothing; governed.py tells whether it counts
SET_TO_NOTHING: Final = "~"
NUMBER: Final = "#"  # stands for one in a setting of the language file
_NOTHING: Final = frozenset(("zero", "nil", "nothing", "0"))
_WITHIN: Final = frozenset(("and", "point"))  # "four hundred and fifty"


class Setting(NamedTuple):
    """One that was found: whose it is, its letter, and where it ends."""

    machine: Machine
    letter: str
    end: int


class Settings:
    """The settings of one surgery's machines; what two of them could mean is none."""

    def __init__(self, surgery: Surgery, language: Language, amounts: Amounts) -> None:
        self._amounts = amounts
        self._known: dict[str, list[tuple[list[str], Machine]]] = {}
        meant: dict[str, list[Machine]] = {}
        for machine in surgery.machines:
            if kind := kind_of(names(machine), language):
                for words in dict.fromkeys(map(plain, language.devices[kind].settings)):
                    meant.setdefault(words, []).append(machine)
        for words, machines in meant.items():
            if len(machines) == 1:
                first, *_ = pattern = words.split()
                self._known.setdefault(first, []).append((pattern, machines[0]))
        glue = language.glue
        self._behind = frozenset((*glue.please, *glue.thanks, *language.moods.now, "for", "into"))

    def called_out(self, words: Sequence[str], at: int, before: Sequence[Token]) -> Token | None:
        """The setting that begins a clause at `at`, or is asked for: "she needs sixteen breaths a minute"."""
        asked = "".join([token.letter for token in before[-2:]]).rstrip("dO").endswith("w")
        if before and before[-1].letter not in ",&P" and not asked:
            return None
        if (setting := self.at(words, at)) is None:
            return None
        said = " ".join(words[at : setting.end])
        mention = Mention(setting.machine.id, setting.machine.name, said, "alias", unnamed=True)
        return Token(THING if asked else setting.letter, said, at, setting.end, mention)

    def at(self, words: Sequence[str], start: int) -> Setting | None:
        """The longest that begins here and is followed by nothing that makes it part of something else."""
        first = NUMBER if self._ends_number(words, start) > start else words[start]
        found = [
            Setting(m, *read)
            for pattern, m in self._known.get(first, ())
            if (read := self._read(words, start, pattern))
        ]
        return max(found, key=lambda setting: setting.end, default=None)

    def _read(self, words: Sequence[str], at: int, pattern: list[str]) -> tuple[str, int] | None:
        letter = SET
        for part in pattern:
            if part == NUMBER:
                end = self._ends_number(words, at)
                if end == at:
                    return None
                letter = SET_TO_NOTHING if words[at] in _NOTHING else letter
                at = end
            elif words[at : at + 1] == [part]:
                at += 1
            else:
                return None
        return (letter, at) if not words[at : at + 1] or self._may_follow(words[at]) else None

    def _may_follow(self, word: str) -> bool:
        return not word[0].isalnum() or word in self._behind

    def _ends_number(self, words: Sequence[str], at: int) -> int:
        end = at
        while end < len(words) and (
            words[end] in _NOTHING or self._amounts.counted(words[end]) or self._within(words, at, end)
        ):
            end += 1
        return end

    def _within(self, words: Sequence[str], start: int, at: int) -> bool:
        counted = words[at + 1 : at + 2] and self._amounts.counted(words[at + 1])
        return words[at] in _WITHIN and bool(counted) and (at > start or words[at] == "point")
