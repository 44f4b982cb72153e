"""Sentences that somebody wrote, with what they switch: the rows of files of utterances. Training only.

A person writes otherwise than a generator does. So part of what is said in a made session are such sentences; the
session around them, its states and its phases, is made.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from random import Random
from typing import Final

from msgspec.structs import replace

from benchmarks.eval.utterances import Utterance, read_utterances
from models.training.apart import is_apart
from models.training.lesson import shown
from models.training.rooms import Room, Sentence, shipped_room
from pipeline.config import resolve
from pipeline.errors import ConfigError
from pipeline.messages import Action
from stages.surgery import Surgery, load_surgeries

_MARKS: Final = frozenset("[]{}|")
_SHARE_SHUFFLED: Final = 0.5  # of the rooms: ids are to be read and not remembered


@dataclass(frozen=True, slots=True)
class Written:
    """The sentences about one surgery, and those that tell its phases, by phase."""

    surgery: Surgery
    sentences: tuple[Sentence, ...]
    of_phases: Mapping[str, tuple[str, ...]]


def written(files: Iterable[Path]) -> list[Written]:
    """The rows of the files that say all that they switch, by surgery; none that needs a line before it.

    A file's surgeries are those of the folder machines/ beside it, or the shipped ones. Left out is what shares six
    words with an evaluation set. Raises ConfigError, also if no row of a file is left.
    """
    return [each for path in files for each in _of_file(path)]


def written_room(rng: Random, of: Written, share: float) -> Room:
    """A room in which `share` of what is said are its sentences; ids and order of its machines may be others."""
    surgery, sentences = of.surgery, of.sentences
    if rng.random() < _SHARE_SHUFFLED:
        ids = dict(zip(surgery.machine_ids, rng.sample(surgery.machine_ids, len(surgery.machines)), strict=True))
        machines = [replace(machine, id=ids[machine.id]) for machine in surgery.machines]
        rng.shuffle(machines)
        surgery = replace(surgery, machines=tuple(machines))
        sentences = tuple(
            each._replace(effects={ids[i]: action for i, action in each.effects.items()}) for each in sentences
        )
    room = shipped_room(surgery)
    phases = tuple(changed(talk, said=(*talk.said, *of.of_phases.get(talk.phase.id, ()))) for talk in room.phases)
    return changed(room, phases=phases, written=sentences, share_written=share)


def _of_file(path: Path) -> Iterator[Written]:
    beside = path.parent / "machines"
    surgeries = load_surgeries(beside if beside.is_dir() else resolve("configs/machines"))
    rows = [row for row in read_utterances(path, surgeries, None) if is_apart(row.text) and not row.prior]
    found = False
    for name, surgery in surgeries.items():
        own = [row for row in rows if row.surgery == name]
        known = ((row, _effects(row, surgery)) for row in own if not row.expect_phase)
        sentences = tuple(Sentence(row.text, effects, _speaker(row)) for row, effects in known if effects is not None)
        if sentences:
            found = True
            yield Written(surgery, sentences, _of_phases(own))
    if not found:
        raise ConfigError(f"{path}: no row in it to learn from; give rows that say all that they switch")


def _of_phases(rows: Iterable[Utterance]) -> dict[str, tuple[str, ...]]:
    """What tells a phase and switches nothing, by phase; none that has a mark of templates in it."""
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row.expect_phase and not (row.on or row.off) and _MARKS.isdisjoint(row.text):
            found[row.expect_phase] = (*found.get(row.expect_phase, ()), row.text)
    return found


def _speaker(row: Utterance) -> str:
    return "" if row.speaker == "unknown" else row.speaker


def _effects(row: Utterance, surgery: Surgery) -> Mapping[str, Action] | None:
    """What it switches, in the order it is said; None if that is not known."""
    if not (row.way == "exact" or row.silent):
        return None
    effects: dict[str, Action] = dict.fromkeys(row.expect_on or (), "ON")
    effects |= dict.fromkeys(row.expect_off or (), "OFF")
    effects |= dict.fromkeys(row.expect_standby or (), "STANDBY")
    said = shown(surgery, row.text)
    places = {machine: said.find(f"({machine})") for machine in effects}
    if -1 in places.values() and len(effects) > 1:
        return None
    return {machine: effects[machine] for machine in sorted(effects, key=places.__getitem__)}
