"""Rooms to talk in: a surgery's dictionary, and how its machines and phases are spoken of. Used by training only.

A shipped surgery is spoken of with its own aliases and, where a device of the word lists has one of its names, with
what is known of that device. Of an invented machine mostly what the prompt shows is said: its name and aliases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from models.training.vocabulary import table
from pipeline.messages import Action
from stages.surgery import Machine, Phase, Surgery

Part = Literal["train", "validation"]
ESSENTIAL: Final = ("Monitoring", "Life Support")
_LETTERS: Final = str.maketrans({"-": " ", "(": " ", ")": " ", "/": " "})


@dataclass(frozen=True, slots=True)
class Thing:
    """A machine as people speak of it. `device`: what words/devices.toml says of it, empty for an unknown kind."""

    machine: Machine
    spoken: tuple[str, ...]
    device: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""

    @property
    def id(self) -> str:
        return self.machine.id

    @property
    def called(self) -> str:
        """What an answer calls it: as the dictionary does, in one short name."""
        return self.machine.aliases[0] if self.machine.aliases else self.machine.name

    def is_plural(self, name: str) -> bool:
        """Whether that name takes "are"."""
        return name in self.device.get("plural", ()) or name.endswith("lights")

    def words(self, name: str) -> tuple[str, ...]:
        """A list of the device; empty if it has none."""
        return tuple(self.device.get(name, ()))


@dataclass(frozen=True, slots=True)
class PhaseTalk:
    """What is said in a phase and of it."""

    phase: Phase
    said: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()


class Sentence(NamedTuple):
    """What somebody wrote, and what it switches, in the order it is said."""

    text: str
    effects: Mapping[str, Action]
    speaker: str


@dataclass(frozen=True, slots=True)
class Room:
    """A surgery with its talk, in the dictionary's order. `absent`: names of devices that are not in this room.

    `share_written` of what is said in it are sentences of `written`.
    """

    surgery: Surgery
    things: tuple[Thing, ...]
    phases: tuple[PhaseTalk, ...]
    absent: tuple[str, ...]
    written: tuple[Sentence, ...] = ()
    share_written: float = 0.0

    def needing(self, list_name: str) -> list[Thing]:
        """Things that are asked for without their name by `list_name` (need or rest), if no other can be meant."""
        kinds = [thing.device.get("like", thing.key) for thing in self.things]
        return [t for t, kind in zip(self.things, kinds, strict=True) if t.words(list_name) and kinds.count(kind) == 1]

    def phase_talk(self, phase_id: str) -> PhaseTalk:
        """The talk of that phase."""
        return next(talk for talk in self.phases if talk.phase.id == phase_id)


def shipped_room(surgery: Surgery) -> Room:
    """The room of a surgery whose dictionary somebody wrote."""
    things = tuple(_thing(machine) for machine in surgery.machines)
    phases = tuple(_phase_talk(surgery, phase) for phase in surgery.phases)
    return Room(surgery, things, phases, absent_names(things))


def absent_names(things: tuple[Thing, ...]) -> tuple[str, ...]:
    """Names of devices that the room has not, each with a word that none of its machines has in its names."""
    kinds = {thing.device.get("like", thing.key) for thing in things}
    here = {word for thing in things for name in (*thing.spoken, thing.machine.name) for word in split(name)}
    names = []
    for key, device in table("devices").items():
        if key in kinds or device.get("like", key) in kinds:
            continue
        names += [
            name
            for name in device["spoken"]
            if not here.issuperset(split(name)) and name not in device.get("plural", ())
        ]
    return tuple(names)


def split(name: str) -> list[str]:
    """The words of a name, lower case."""
    return name.casefold().translate(_LETTERS).split()


def _thing(machine: Machine) -> Thing:
    own = {" ".join(split(name)) for name in (machine.name, *machine.aliases)}
    best, most = "", 0
    for key, device in table("devices").items():
        known = {" ".join(split(name)) for name in (*device["names"], *device["spoken"])}
        if len(own & known) > most:
            best, most = key, len(own & known)
    spoken = tuple(dict.fromkeys((*machine.aliases, _spoken(machine.name))))
    return Thing(machine, spoken, table("devices")[best] if best else {}, best)


def _spoken(name: str) -> str:
    """A dictionary's name without what stands in brackets, as it is said."""
    return " ".join(name.split("(")[0].lower().split())


def _phase_talk(surgery: Surgery, phase: Phase) -> PhaseTalk:
    place = f"{surgery.surgery}/{phase.id}"
    for known in table("phases").values():
        if place in known.get("of", ()):
            own = table("shipped").get(place, {}).get("said", ())
            return PhaseTalk(phase, (*known["said"], *own), tuple(known["nouns"]))
    return PhaseTalk(phase)
