"""The dictionary of a surgery: its phases and machines, read from configs/machines/*.json. Used by all stages.

Every further file of the same form in a folder is a further surgery; no code knows a surgery by name.
"""

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.errors import UNDECODABLE, ConfigError
from pipeline.messages import MachineId
from pipeline.messages.fields import check_text

Text = Annotated[str, Meta(min_length=1, max_length=500)]
# A phrase has a letter or a digit: hyphens and spaces alone are no word when it is compared
Phrases = Annotated[tuple[Annotated[str, Meta(max_length=100, pattern=r"\w")], ...], Meta(max_length=100)]


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phase of a surgery, in the order of the file. `cues` are words that are said in it and hardly elsewhere."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")]
    name: Text
    description: str = ""
    cues: Phrases = ()

    def __post_init__(self) -> None:
        check_text(name=self.name, description=self.description, cues=" ".join(self.cues))


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine of a surgery. `triggers` are phrases that start it, `aliases` its other names, `hints` other words that
    speak of it.
    """

    id: MachineId
    name: Text
    category: Text
    description: str = ""
    default_state: Literal["ON", "OFF"] = "OFF"
    phase_usage: tuple[str, ...] = ()
    triggers: Phrases = ()
    aliases: Phrases = ()
    hints: Phrases = ()

    def __post_init__(self) -> None:
        check_text(name=self.name, category=self.category, description=self.description)
        check_text(triggers=" ".join(self.triggers), aliases=" ".join(self.aliases), hints=" ".join(self.hints))


class Surgery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """One surgery: `surgery` is the name that messages use. What is looked up for each message is kept."""

    surgery: Annotated[str, Meta(max_length=64, pattern=r"^\S(.*\S)?\Z")]
    full_name: Text
    environment: Text
    phases: Annotated[tuple[Phase, ...], Meta(min_length=1, max_length=32)]
    machines: Annotated[tuple[Machine, ...], Meta(min_length=1, max_length=99)]

    def __post_init__(self) -> None:
        check_text(surgery=self.surgery, full_name=self.full_name, environment=self.environment)

    @cached_property
    def machine_ids(self) -> tuple[str, ...]:
        return tuple(machine.id for machine in self.machines)

    @cached_property
    def phase_ids(self) -> tuple[str, ...]:
        return tuple(phase.id for phase in self.phases)

    def machine(self, machine_id: str) -> Machine | None:
        """The machine of that id, or None."""
        return self._machines.get(machine_id)

    def phase(self, phase_id: str) -> Phase | None:
        """The phase of that id, or None."""
        return self._phases.get(phase_id)

    def phase_called(self, said: str) -> Phase | None:
        """The phase of that id or name, or None; letter case and spaces do not count."""
        return self._called.get(_folded(said))

    def phase_after(self, phase_id: str) -> str:
        """The id of the phase that follows; the last one and an unknown one give ""."""
        return self._following.get(phase_id, "")

    @cached_property
    def _machines(self) -> dict[str, Machine]:
        return {machine.id: machine for machine in self.machines}

    @cached_property
    def _phases(self) -> dict[str, Phase]:
        return {phase.id: phase for phase in self.phases}

    @cached_property
    def _called(self) -> dict[str, Phase]:
        """By id and by name; of two phases the first has it."""
        called: dict[str, Phase] = {}
        for phase in self.phases:
            for name in (phase.id, phase.name):
                called.setdefault(_folded(name), phase)
        return called

    @cached_property
    def _following(self) -> dict[str, str]:
        return dict(pairwise(self.phase_ids))


def load_surgeries(folder: Path) -> dict[str, Surgery]:
    """All surgeries of a folder by name.

    Raises ConfigError for a folder without any, a file that is not of the form, or two of one name.
    """
    surgeries: dict[str, Surgery] = {}
    origin: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{path}: leads out of its folder, to {path.resolve()}; put the file itself there")
        surgery = _load(path)
        if surgery.surgery in surgeries:
            raise ConfigError(f"{path}: surgery {surgery.surgery!r} is already in {origin[surgery.surgery]}")
        surgeries[surgery.surgery], origin[surgery.surgery] = surgery, path
    if not surgeries:
        raise ConfigError(f"{folder}: no surgery in it (*.json); set prompt.machines to a folder that has some")
    return surgeries


def find_surgery(surgeries: Mapping[str, Surgery], name: str) -> Surgery | None:
    """The surgery of that name, whatever its case, or None."""
    folded = name.strip().casefold()
    return next((s for s in surgeries.values() if s.surgery.casefold() == folded), None)


def unknown_surgery(surgeries: Mapping[str, Surgery], name: str) -> str:
    """What to say of a name that `find_surgery` does not find."""
    return f"surgery {name!r} is not known; known are {', '.join(surgeries)}"


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()


def _load(path: Path) -> Surgery:
    try:
        surgery = msgspec.json.decode(path.read_bytes(), type=Surgery)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UNDECODABLE as error:
        raise ConfigError(f"{path}: {error}") from error
    for what, ids in (("machine", surgery.machine_ids), ("phase", surgery.phase_ids)):
        if double := sorted({i for i in ids if ids.count(i) > 1}):
            raise ConfigError(f"{path}: {what} id {double[0]!r} stands more than once; give each its own")
    for machine in surgery.machines:
        if strange := [p for p in machine.phase_usage if p not in surgery.phase_ids]:
            known = ", ".join(surgery.phase_ids)
            raise ConfigError(f"{path}: phase_usage of {machine.id} names {strange[0]!r}; phases are {known}")
    return surgery
