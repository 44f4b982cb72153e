"""How long the answers of a model with random weights may be. Used by the processes of a benchmark with such a model.

Random weights close no string and end no list by themselves: every answer would run to the limits of the schema, which
a real model does not. So for such a model the schema's limits are lowered, for all engines alike, until an answer has
as many tokens as a real one.
"""

from dataclasses import dataclass

import msgspec

from stages import answer
from stages.surgery import Surgery


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most characters of a text, most texts of a list, and of how many machines an answer may tell."""

    characters: int
    tips: int
    machines: int


def lower(bounds: Bounds) -> None:
    """Make the answer schemas of this process, which ends with the benchmark, no longer than that."""
    answer.WHY_CHARACTERS = answer.TIP_CHARACTERS = bounds.characters
    answer.MAX_TIPS = bounds.tips


def lowered(surgery: Surgery, bounds: Bounds) -> Surgery:
    """The surgery as an answer's schema is made from it. Prompts are made from the whole one."""
    return msgspec.structs.replace(surgery, machines=surgery.machines[: bounds.machines])
