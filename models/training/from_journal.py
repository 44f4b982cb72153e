"""`python -m models.training.from_journal`: lessons from what was said in a hospital's own rooms, out of a journal.

What it takes for the truth of a line: what the last published state of that line switched and is in effect in it, and
its phases. A human who sets a machine by hand within OVERRIDE_S behind a line corrects that line. Nobody else looks at
it, so wrong states that nobody corrected become wrong lessons. A redacted journal has no words to learn from.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from models.training.lesson import Answer, Lesson, Line
from pipeline.codec import decode_input
from pipeline.config import load_config, resolve
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.journal import Record, files_of, in_order
from pipeline.log import MAX_BYTES, REPLAYED
from pipeline.messages import Action, Override, SessionStart, SurgeryState, Transcript
from pipeline.redact import REDACTED
from pipeline.wire_format import read_output
from stages.answer import MAX_TIPS, TIP_CHARACTERS, WHY_CHARACTERS
from stages.prompt.tail import Moment
from stages.surgery import Surgery, find_surgery, load_surgeries

OVERRIDE_S: Final = 15.0
LINES: Final = 10  # that a lesson shows
WINDOW_S: Final = 180.0
KIND: Final = "own"


class _Metadata(msgspec.Struct, frozen=True):
    phase: str
    next_phase: str = ""
    reasoning: str = ""


class _Toggle(msgspec.Struct, frozen=True):
    machine_id: str
    action: Action


class _Details(msgspec.Struct, frozen=True):
    toggles: tuple[_Toggle, ...] = ()
    standby: tuple[str, ...] = ()


class _Contract(msgspec.Struct, frozen=True):
    """What is read of a state."""

    metadata: _Metadata
    machines: dict[str, tuple[str, ...]]
    details: _Details = _Details()
    suggestions: tuple[str, ...] = ()


@dataclass(slots=True)
class _Heard:
    """A line, what the room was before it, and what became of it."""

    seq: int
    lines: tuple[Line, ...]
    moment: Moment
    state: _Contract | None = None
    corrected: dict[str, Action] = field(default_factory=dict)


@dataclass(slots=True)
class _Room:
    surgery: Surgery
    phase: str
    machines: dict[str, Action]
    lines: list[Line] = field(default_factory=list)
    heard: list[_Heard] = field(default_factory=list)


class _Reader:
    def __init__(self, surgeries: dict[str, Surgery]) -> None:
        self.rooms: list[_Room] = []
        self.redacted = 0
        self._surgeries = surgeries
        self._open: dict[str, _Room] = {}

    def take(self, record: Record) -> None:
        if record.topic in REPLAYED:
            message: Any = decode_input([record.payload], MAX_BYTES)
        elif record.topic == SurgeryState.__name__:
            message = read_output((record.topic.encode(), record.payload))
        else:
            return
        if isinstance(message, SessionStart):
            self._start(message)
        elif room := self._open.get(getattr(message, "session", "")):
            match message:
                case Transcript(is_final=True):
                    self._line(room, message)
                case SurgeryState():
                    _state(room, message)
                case Override():
                    _override(room, message)

    def _start(self, message: SessionStart) -> None:
        surgery = find_surgery(self._surgeries, message.surgery)
        if surgery is None:
            return
        machines: dict[str, Action] = {machine.id: machine.default_state for machine in surgery.machines}
        room = _Room(surgery, surgery.phase_ids[0], machines)
        self._open[message.session] = room
        self.rooms.append(room)

    def _line(self, room: _Room, message: Transcript) -> None:
        if message.text == REDACTED:
            self.redacted += 1
            return
        speaker = "" if message.speaker == "unknown" else message.speaker
        room.lines.append(Line(message.t, speaker, message.text))
        room.lines = [line for line in room.lines if line.t >= message.t - WINDOW_S][-LINES:]
        moment = Moment(t=message.t, phase=room.phase, machines=dict(room.machines))
        room.heard.append(_Heard(message.seq, tuple(room.lines), moment))


def _state(room: _Room, state: SurgeryState) -> None:
    contract = msgspec.convert(state.state, _Contract)
    on = contract.machines.get("1", ())
    for machine in room.machines:
        standby = machine in contract.details.standby
        room.machines[machine] = "ON" if machine in on else "STANDBY" if standby else "OFF"
    room.phase = contract.metadata.phase
    for heard in room.heard:
        if heard.seq == state.based_on:
            heard.state = contract


def _override(room: _Room, message: Override) -> None:
    if message.action != "RELEASE" and room.heard and message.t - room.heard[-1].moment.t <= OVERRIDE_S:
        room.heard[-1].corrected[message.machine] = message.action


def _lessons(room: _Room) -> Iterator[Lesson]:
    for heard in room.heard:
        if (state := heard.state) is None or state.metadata.phase not in room.surgery.phase_ids:
            continue
        on = set(state.machines.get("1", ()))
        toggles: dict[str, Action] = {
            each.machine_id: each.action
            for each in state.details.toggles
            if (each.action == "ON") == (each.machine_id in on)  # what is in effect
        }
        toggles |= heard.corrected
        ids = [machine for machine in room.surgery.machine_ids if machine in toggles]
        following = room.surgery.phase_after(state.metadata.phase) or state.metadata.phase
        told = state.metadata.next_phase
        answer = Answer(
            on=tuple(machine for machine in ids if toggles[machine] == "ON"),
            off=tuple(machine for machine in ids if toggles[machine] != "ON"),
            phase=state.metadata.phase,
            next=told if told in room.surgery.phase_ids else following,
            why=state.metadata.reasoning[:WHY_CHARACTERS],
            tips=tuple(tip[:TIP_CHARACTERS] for tip in state.suggestions[:MAX_TIPS]),
        )
        yield Lesson(room.surgery, heard.lines, heard.moment, answer, KIND)


def lessons_of(journal: Path, surgeries: dict[str, Surgery]) -> list[Lesson]:
    """The lessons of a run's folder, or of one file. Raises OrstateError if there are none; it says why."""
    reader = _Reader(surgeries)
    unread = 0
    for record in in_order(files_of(journal)):
        try:
            reader.take(record)
        except (*UNDECODABLE, OrstateError):
            unread += 1
    found = [lesson for room in reader.rooms for lesson in _lessons(room)]
    if not found:
        why = (
            f"its {reader.redacted} lines are redacted, and words are what is learned"
            if reader.redacted
            else (f"no line of a known surgery has a published state ({unread} records are unreadable)")
        )
        raise OrstateError(f"{journal}: has no lessons: {why}; give the journal of a run as it was written")
    return found


def main(
    journal: Annotated[Path, typer.Argument(help="A run's folder, or one of its files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new file, a lesson a line.")],
    config: Annotated[Path | None, typer.Option(help="The configuration that names the surgeries.")] = None,
) -> None:
    """Write lessons for `lessons.own` of a training. What was said stands in them: the file has mode 0600."""
    try:
        found = lessons_of(journal, load_surgeries(resolve(load_config(config).prompt.machines)))
        with open(output, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(msgspec.json.encode(lesson) + b"\n" for lesson in found)
    except OSError as error:
        sys.exit(f"from_journal: {output}: cannot be written: {error.strerror}; give a new file")
    except OrstateError as error:
        sys.exit(f"from_journal: {error}")
    print(f"{len(found)} lessons: {output}")


if __name__ == "__main__":
    typer.run(main)
