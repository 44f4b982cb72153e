"""What somebody said, and what it switches. Used by training only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from models.training.rooms import Thing
from pipeline.messages import Action


@dataclass(frozen=True, slots=True)
class Before:
    """A line that must stand right before another, and what it switched."""

    text: str
    effects: Mapping[str, Action] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """A line. `named`: the machines it is about; `topic`: what else it is about, for the answer's reason."""

    kind: str
    text: str
    effects: Mapping[str, Action] = field(default_factory=dict)
    named: tuple[Thing, ...] = ()
    before: tuple[Before, ...] = ()
    phase: str = ""  # that has begun
    topic: str = ""
    speaker: str = ""  # who must be the one who says it


Kinds = dict[str, tuple[float, Callable[[], Said]]]  # how often, and what says it; NothingToSay where there is nothing
