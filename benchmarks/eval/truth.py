"""A folder of sessions: NAME.jsonl is what was said, NAME.truth.json what was true. Runs in the command's process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.eval.files import Place, read_bytes
from benchmarks.eval.utterances import Half
from pipeline.errors import ConfigError, OrstateError
from pipeline.log import Log
from pipeline.messages import MachineId, Seconds
from stages.surgery import Surgery

ENDING = ".truth.json"


class Switch(msgspec.Struct, frozen=True):
    """A machine is switched at `t`, seconds since the session began. Standby is OFF."""

    t: Seconds
    id: MachineId
    state: Literal["ON", "OFF"]


class PhaseStart(msgspec.Struct, frozen=True):
    """A phase begins, and lasts until the next one does."""

    phase: str
    start_s: Seconds


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What was true in a session. Other keys are notes."""

    surgery: str
    initial_on: tuple[MachineId, ...]
    machines: tuple[Switch, ...]
    phases: tuple[PhaseStart, ...]
    half: Half | None = None


class Case(msgspec.Struct, frozen=True):
    """One session with its truth."""

    name: str
    surgery: Surgery
    truth: Truth
    log: Log


def read_cases(folder: Path, surgeries: Mapping[str, Surgery], half: Half | None) -> list[Case]:
    """The sessions of a folder by name, or of one half of them. Raises ConfigError, also if there is none."""
    files = sorted(folder.glob(f"*{ENDING}"))
    cases = [case for file in files if half in (None, (case := _case(file, surgeries)).truth.half)]
    if not cases:
        what = f"session of half {half!r}" if files else f"session (NAME.jsonl with NAME{ENDING})"
        raise ConfigError(f"{folder}: no {what} in it")
    return cases


def read_truth(file: Path, surgeries: Mapping[str, Surgery]) -> tuple[Surgery, Truth]:
    """What was true in a session, and of which surgery. Raises ConfigError."""
    place = Place(file)
    truth = place.convert(place.decode(read_bytes(file)), Truth)
    surgery = place.surgery(surgeries, truth.surgery)
    place.check_machines(surgery, "initial_on", truth.initial_on)
    place.check_machines(surgery, "machines", (switch.id for switch in truth.machines))
    place.check_phases(surgery, "phases", (start.phase for start in truth.phases))
    return surgery, truth


def _case(file: Path, surgeries: Mapping[str, Surgery]) -> Case:
    surgery, truth = read_truth(file, surgeries)
    name = file.name.removesuffix(ENDING)
    try:
        log = Log(file.with_name(f"{name}.jsonl"), surgery.surgery)
    except OrstateError as error:
        raise ConfigError(str(error)) from error
    return Case(name, surgery, truth, log)
