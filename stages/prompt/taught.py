"""What a model was taught to read, so that a prompt has it. Runs in the prompt process."""

from dataclasses import dataclass, replace
from typing import Final

from models.manifest import Manifest
from pipeline.config import PromptSection
from stages.prompt.examples import Examples
from stages.prompt.window import MOST_LINES


@dataclass(frozen=True, slots=True)
class Taught:
    """As its manifest says.

    `examples`: how many it needs. `window_lines`: of the transcript, at most. `links`: whether ids stand behind names
    and cues, and with `hints` behind what only hints at a machine. `own_phase`: whether it is told the phase where
    nobody but itself has found it.
    """

    examples: Examples = "many"
    window_lines: int = MOST_LINES
    links: bool = False
    hints: bool = False
    own_phase: bool = True

    def under(self, section: PromptSection) -> "Taught":
        """As the configuration wants it, where it does not leave it to the model."""
        return replace(
            self,
            examples=self.examples if section.examples == "model" else section.examples,
            window_lines=self.window_lines if section.window_lines == "model" else section.window_lines,
        )


UNTAUGHT: Final = Taught()


def taught_by(manifest: Manifest) -> Taught:
    """What the manifest says."""
    return Taught(manifest.examples, manifest.window_lines, manifest.links, manifest.hints, manifest.own_phase)
