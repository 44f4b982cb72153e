"""One lesson: what a model is shown at a moment of a session, and what it should answer. Used by training only.

The newest line is the last one. The answer tells what the newest lines switch: the last line, whether or not it is
already so, and lines at most `NEWEST_S` before it whose commands are not in effect yet, because a question that had
to wait is about several lines. The prompt marks neither, so a lesson must be decidable from what it shows.
"""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, NamedTuple

from stages.prompt.cues import PhaseCues
from stages.prompt.hints import Hints
from stages.prompt.language import Language, load_language
from stages.prompt.links import Links
from stages.prompt.tail import Moment
from stages.prompt.window import SEEN, format_line
from stages.surgery import Surgery

NEWEST_S: Final = 2.5


class Line(NamedTuple):
    """A line of the transcript. `t`: seconds since the session began; `speaker`: "" if unknown."""

    t: float
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The small form of an answer, see stages/answer.py. The ids of `on` and `off` stand in the order they are said.

    To write down one name after the other is easier to learn than to sort them first.
    """

    on: tuple[str, ...]
    off: tuple[str, ...]
    phase: str
    next: str
    why: str
    tips: tuple[str, ...]

    def text(self) -> str:
        """The answer as the engine's grammar can produce it: compact JSON."""
        fields = {
            "on": self.on,
            "off": self.off,
            "phase": self.phase,
            "next": self.next,
            "why": self.why,
            "tips": self.tips,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Lesson:
    """`lines` are the window that the prompt shows, the newest last; `kind` is what kind of talk that one is."""

    surgery: Surgery
    lines: tuple[Line, ...]
    moment: Moment
    answer: Answer
    kind: str

    def transcript(self, hints: bool) -> str:
        """The lines as the prompt has them, with ids behind names and cues, each ended by a newline.

        `hints`: whether ids stand behind what only hints at a machine, too.
        """
        lines = ((t, speaker, shown(self.surgery, text, hints)) for t, speaker, text in self.lines)
        return "".join(format_line(*line) + "\n" for line in lines)


def shown(surgery: Surgery, text: str, hints: bool = True) -> str:
    """A line as the prompt has it: what was seen and not said has no ids."""
    return text if text.startswith(SEEN) else _links(surgery, hints).link(text).text


@lru_cache(64)
def _links(surgery: Surgery, hints: bool) -> Links:
    return Links(surgery, PhaseCues(surgery, _language()), Hints(surgery, _language()), shows_hints=hints)


@cache
def _language() -> Language:
    return load_language()
