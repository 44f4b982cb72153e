"""Finds texts that read as control of a device, an interface, or a clinical order. Runs in the parse process.

Source of the 18 patterns: the safety policy of OR-Symphony, whose validator looked at top-level texts only. Here
every text is looked at, however deep, and an article or a drug's name may stand between the words of a pattern
("execute the command", "administer cefazolin 2 units").
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from stages.parse.texts import clean

_THE: Final = r"(?:(?:the|a|an|this|that|these|any|all|its|following|next)\s+){0,2}"
_WORDS: Final = r"(?:[\w'-]{1,30}\s+){0,3}"
_KEY_CHARACTERS: Final = 30

PATTERNS: Final[dict[str, str]] = {
    # control of a device
    "execute_command": rf"\bexecut(?:e|es|ed|ing)\s+{_THE}(?:command|action|instruction)",
    "run_command": rf"\brun(?:s|ning)?\s+{_THE}(?:command|script|program)",
    "send_to_device": rf"\bsen(?:d|ds|t|ding)\s+{_WORDS}(?:signal|command)s?\s+to\s+{_WORDS}"
    r"(?:device|machine|equipment)",
    "auto_activate": r"\bauto(?:matically)?[\s_-]*activat",
    "auto_toggle": r"\bauto(?:matically)?[\s_-]*toggl",
    "directly_control": r"\bdirectly\s+control",
    "force_state": r"\bforc(?:e|es|ed|ing)[\s_-]+(?:(?:it|the\s+\w+)\s+)?(?:on|off|shut\s*down|restart)\b",
    "override_safety": rf"\boverrid(?:e|es|ing)\s+{_THE}safety",
    "bypass_safety": rf"\bbypass(?:es|ed|ing)?\s+{_THE}(?:safety|confirmation|human)",
    "without_confirmation": rf"\bwithout\s+{_THE}(?:human|operator)(?:'s)?\s+(?:confirmation|approval)",
    # interfaces
    "api_call": r"\bapi\s*\.\s*(?:send|post|put|delete)\b",
    "control_url": r"https?://[^\s\"'<>]{0,500}/control\b",
    "serial_write": r"\bserial\s*\.\s*write\b",
    "gpio": r"\bgpio\s*\.\s*\w",
    # clinical orders
    "administer_dose": rf"\badminister(?:s|ed|ing)?\s+{_WORDS}\d+(?:[.,]\d+)?\s*(?:mg|ml|cc|units?)\b",
    "inject_amount": rf"\binject(?:s|ed|ing)?\s+{_WORDS}\d",
    "prescribe": r"\bprescrib(?:e|es|ed|ing)\b",
    "diagnosis": r"\bdiagnos(?:is|e)\s*:\s*\w",
}

ADVISORY: Final = (
    "consider",
    "suggest",
    "recommend",
    "may want to",
    "might need",
    "could",
    "should consider",
    "check",
    "verify",
    "ensure",
    "prepare",
    "confirm",
    "review",
    "monitor",
    "note",
)

# What every pattern begins with: a plain text without any of them is not looked at further.
STEMS: Final = (
    "execut",
    "run",
    "send",
    "sent",
    "auto",
    "directly",
    "forc",
    "overrid",
    "bypass",
    "without",
    "api",
    "http",
    "serial",
    "gpio",
    "administer",
    "inject",
    "prescrib",
    "diagnos",
)
_ANY: Final = re.compile("|".join(f"(?P<{name}>{form})" for name, form in PATTERNS.items()), re.IGNORECASE)
_ADVICE: Final = re.compile(rf"(?:{'|'.join(ADVISORY)})\b", re.IGNORECASE)


class Violation(msgspec.Struct, frozen=True, order=True):
    """A pattern of PATTERNS, and the place it was found: a path such as `suggestions[0]`."""

    where: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.pattern} in {self.where}"


def find_violations(value: object, where: str = "answer") -> tuple[Violation, ...]:
    """What is banned in the texts of `value`: a text, or lists and objects of them, however nested.

    Every text is looked at as it would be published, so that unseen characters hide nothing. Sorted by place.
    """
    if not may_violate(" ".join(_texts(value))):
        return ()
    return tuple(
        sorted(
            {
                Violation(place, match.lastgroup or "")
                for place, text in _placed_texts(value, where)
                for match in _ANY.finditer(clean(text, len(text) + 1))
            }
        )
    )


def not_advisory(suggestions: Iterable[str]) -> tuple[str, ...]:
    """The suggestions that do not begin as advice does ("consider", "check" ...); a warning, no violation."""
    return tuple(text for text in suggestions if not _ADVICE.match(text))


def may_violate(text: str) -> bool:
    """False if no pattern can be found in `text`. True beyond ASCII: there a letter may have more than two cases."""
    text = clean(text, len(text) + 1)
    if not text.isascii():
        return True
    lower = text.lower()
    return any(stem in lower for stem in STEMS)


def _texts(value: object) -> Iterator[str]:
    """Every text. A stack of its own: what a model nests may be deeper than Python's."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _placed_texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Every text with its path."""
    waiting: list[tuple[str, object]] = [(where, value)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, dict):
            waiting.extend((f"{place}.{_shown(key)}"[:200], inner) for key, inner in item.items())
        elif isinstance(item, list | tuple):
            waiting.extend((f"{place}[{at}]"[:200], inner) for at, inner in enumerate(item))


def _shown(key: str) -> str:
    """A key as it stands in a path. The path is published, so a key that is no plain name is not repeated."""
    plain = len(key) <= _KEY_CHARACTERS and key.replace("_", "").isalnum()
    return key if plain else "*"
