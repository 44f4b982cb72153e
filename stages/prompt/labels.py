"""What a message means by a machine, a phase or a value: found by id or name in the dictionary. Prompt process."""

from collections.abc import Mapping
from typing import Final

from pipeline.errors import Rejected
from pipeline.messages import Action
from stages.surgery import Machine, Phase, Surgery

_VALUES: Final[Mapping[str, Action]] = {
    "on": "ON",
    "off": "OFF",
    "standby": "STANDBY",
    "true": "ON",
    "false": "OFF",
    "1": "ON",
    "0": "OFF",
}


class Labels:
    """The names that a session of that surgery knows. All raise Rejected for one that does not exist."""

    def __init__(self, session: str, surgery: Surgery) -> None:
        self._session = session
        self._surgery = surgery

    def id(self, label: str) -> Machine:
        """The machine of that id."""
        machine = self._surgery.machine(label)
        if machine is None:
            raise self._unknown_machine(label)
        return machine

    def machine(self, label: str) -> Machine:
        """The machine of that id, name or alias, whatever the case."""
        wanted = label.strip().casefold()
        for machine in self._surgery.machines:
            if wanted in (machine.id.casefold(), machine.name.casefold()):
                return machine
        for machine in self._surgery.machines:
            if wanted in (alias.casefold() for alias in machine.aliases):
                return machine
        raise self._unknown_machine(label)

    def phase(self, label: str) -> Phase:
        """The phase of that id or name, whatever the case."""
        wanted = label.strip().casefold()
        for phase in self._surgery.phases:
            if wanted in (phase.id.casefold(), phase.name.casefold()):
                return phase
        known = ", ".join(f"{phase.id} ({phase.name})" for phase in self._surgery.phases)
        raise Rejected(
            "bad_observation",
            f"session {self._session!r}: {self._surgery.surgery} has no phase {label!r}; its phases are {known}",
        )

    def action(self, machine: Machine, value: str) -> Action:
        """What that value of a machine says."""
        action = _VALUES.get(value.strip().casefold())
        if action is None:
            raise Rejected(
                "bad_observation",
                f"session {self._session!r}: machine {machine.id} cannot be {value!r}; "
                "value is ON, OFF, STANDBY, true, false, 1 or 0",
            )
        return action

    def _unknown_machine(self, label: str) -> Rejected:
        known = ", ".join(f"{machine.id} ({machine.name})" for machine in self._surgery.machines)
        return Rejected(
            "unknown_machine",
            f"session {self._session!r}: {self._surgery.surgery} has no machine {label!r}; its machines are {known}",
        )
