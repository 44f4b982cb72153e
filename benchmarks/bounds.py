"""How long the answers of a model with random weights are. Used by the processes of a benchmark with such a model.

Random weights end texts and lists anywhere: most texts run to the limit of the schema, and how long a list gets is
chance, which a real model's answer is not. So for such a model the schemas of all engines are changed alike: texts
have one fixed number of characters, lists one fixed number of entries, chosen so that an answer has about as many
tokens as a real one.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from stages import answer
from stages.surgery import Surgery


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many characters a text has, how many texts a list of such, and how many machines a list of those."""

    characters: int
    tips: int
    machines: int


def fix(bounds: Bounds) -> None:
    """Make the answer schemas of this process, which ends with the benchmark, those of such answers."""
    answer.WHY_CHARACTERS = answer.TIP_CHARACTERS = bounds.characters
    answer.MAX_TIPS = bounds.tips
    answer._words = _words
    answer._list_of = _list_of


def fixed(surgery: Surgery, bounds: Bounds) -> Surgery:
    """The surgery as an answer's schema is made from it: as many machines as a list has. Prompts need the whole one."""
    return msgspec.structs.replace(surgery, machines=surgery.machines[: bounds.machines])


def _words(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": most, "maxLength": most}


def _list_of(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": most, "maxItems": most}
