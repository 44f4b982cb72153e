"""What a model was taught to read, so that a prompt has it. Runs in the prompt process."""

from dataclasses import dataclass
from typing import Final

from stages.prompt.examples import Examples
from stages.prompt.window import MOST_LINES


@dataclass(frozen=True, slots=True)
class Taught:
    """As its manifest says.

    `examples`: how many it needs. `window_lines`: of the transcript, at most. `links`: whether ids stand behind names
    and cues.
    """

    examples: Examples = "many"
    window_lines: int = MOST_LINES
    links: bool = False


UNTAUGHT: Final = Taught()
