"""Reads what an evaluation is given; an error names file, line, field and value. Runs in the command's process."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pipeline.errors import ConfigError
from stages.surgery import Surgery, find_surgery, unknown_surgery

T = TypeVar("T")
_FAULT = re.compile(r"(.*) - at `\$\.([^`]+)`", re.DOTALL)  # as msgspec writes it


class Place:
    """Where a row or a truth stands, for the errors about it."""

    def __init__(self, file: Path, line: int = 0) -> None:
        self._where = f"{file}: line {line}" if line else str(file)

    def decode(self, payload: bytes) -> dict[str, Any]:
        """The JSON object in `payload`. Raises ConfigError."""
        try:
            return msgspec.json.decode(payload, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{self._where}: {error}") from error

    def convert(self, fields: Mapping[str, Any], kind: type[T]) -> T:
        """The fields as that struct. Raises ConfigError."""
        try:
            return msgspec.convert(fields, kind)
        except msgspec.ValidationError as error:
            found = _FAULT.fullmatch(str(error))
            if found is None:
                raise ConfigError(f"{self._where}: {error}") from error
            raise self.error(found[2], _value(fields, found[2]), found[1]) from error

    def error(self, field: str, value: object, fault: str) -> ConfigError:
        """What is wrong with the value of a field."""
        return ConfigError(f"{self._where}: {field} = {msgspec.json.encode(value).decode()}: {fault}")

    def surgery(self, surgeries: Mapping[str, Surgery], name: str) -> Surgery:
        """The surgery of that name. Raises ConfigError."""
        surgery = find_surgery(surgeries, name)
        if surgery is None:
            raise self.error("surgery", name, unknown_surgery(surgeries, name))
        return surgery

    def check_machines(self, surgery: Surgery, field: str, ids: Iterable[str]) -> None:
        """Raises ConfigError for a machine that the surgery does not have."""
        for machine_id in ids:
            if surgery.machine(machine_id) is None:
                known = ", ".join(f"{machine.id} ({machine.name})" for machine in surgery.machines)
                raise self.error(field, machine_id, f"{surgery.surgery} has no such machine; its machines are {known}")

    def check_phases(self, surgery: Surgery, field: str, ids: Iterable[str]) -> None:
        """Raises ConfigError for a phase that the surgery does not have."""
        for phase_id in ids:
            if surgery.phase(phase_id) is None:
                known = ", ".join(f"{phase.id} ({phase.name})" for phase in surgery.phases)
                raise self.error(field, phase_id, f"{surgery.surgery} has no such phase; its phases are {known}")


def _value(fields: Mapping[str, Any], path: str) -> object:
    """What stands at a path such as `machines[0].state`."""
    value: Any = fields
    for step in re.findall(r"\w+", path):
        value = value[int(step) if isinstance(value, list) else step]
    return value


def read_bytes(path: Path) -> bytes:
    """What is in the file. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
