"""Lessons of sentences that somebody wrote, with what they switch: the rows of a file of utterances. Training only.

A person writes otherwise than a generator does, so these teach what talk is like; the made lessons teach the rest. Ids
and order of a surgery's machines are shuffled every few rows, because they are to be read and not remembered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from msgspec.structs import replace

from benchmarks.eval.utterances import Utterance, read_utterances
from models.training.apart import is_apart
from models.training.lesson import Answer, Lesson, Line, shown
from pipeline.config import resolve
from pipeline.errors import ConfigError
from pipeline.messages import Action
from stages.prompt.tail import Moment
from stages.surgery import Surgery, load_surgeries

KIND: Final = "written"
EACH: Final = 8  # rows that share a dictionary
_MOST_BEFORE: Final = 4  # lines of other talk


def written_lessons(files: Iterable[Path], seed: int) -> list[Lesson]:
    """A lesson for each row of the files that says all that it switches, in an order by chance.

    A file's surgeries are those of the folder machines/ beside it, or the shipped ones. Left out is what shares six
    words with an evaluation set. Raises ConfigError, also if no row of a file is left.
    """
    rng = Random(f"written {seed}")
    groups = [group for path in files for group in _of_file(path, rng)]
    rng.shuffle(groups)
    return [lesson for group in groups for lesson in group]


def _of_file(path: Path, rng: Random) -> list[list[Lesson]]:
    """In groups that share a dictionary."""
    beside = path.parent / "machines"
    surgeries = load_surgeries(beside if beside.is_dir() else resolve("configs/machines"))
    rows = [row for row in read_utterances(path, surgeries, None) if all(map(is_apart, (row.text, *row.prior)))]
    rng.shuffle(rows)
    groups: list[list[Lesson]] = []
    for surgery in surgeries.values():
        own = [row for row in rows if row.surgery == surgery.surgery]
        idle = [row.text for row in own if row.silent and not row.prior and shown(surgery, row.text) == row.text]
        for at in range(0, len(own), EACH):
            groups.append(list(_of_one_dictionary(own[at : at + EACH], surgery, idle, rng)))
    if not any(groups):
        raise ConfigError(f"{path}: no row in it to learn from; give rows that say all that they switch")
    return groups


def _of_one_dictionary(rows: Sequence[Utterance], surgery: Surgery, idle: list[str], rng: Random) -> Iterator[Lesson]:
    ids = dict(zip(surgery.machine_ids, rng.sample(surgery.machine_ids, len(surgery.machines)), strict=True))
    machines = [replace(machine, id=ids[machine.id]) for machine in surgery.machines]
    rng.shuffle(machines)
    shuffled = replace(surgery, machines=tuple(machines))
    for row in rows:
        if (effects := _effects(row, shuffled, ids)) is not None:
            yield _lesson(row, shuffled, effects, idle, rng)


def _effects(row: Utterance, surgery: Surgery, ids: Mapping[str, str]) -> dict[str, Action] | None:
    """What it switches, in the order it is said; None if that is not known."""
    if not (row.way == "exact" or row.silent):
        return None
    effects: dict[str, Action] = {ids[machine]: "ON" for machine in row.expect_on or ()}
    effects |= {ids[machine]: "OFF" for machine in row.expect_off or ()}
    effects |= {ids[machine]: "STANDBY" for machine in row.expect_standby or ()}
    said = " ".join(shown(surgery, text) for text in (row.text, *row.prior))
    places = {machine: said.find(f"({machine})") for machine in effects}
    if -1 in places.values() and len(effects) > 1:
        return None
    return {machine: effects[machine] for machine in sorted(effects, key=places.__getitem__)}


def _lesson(row: Utterance, surgery: Surgery, effects: dict[str, Action], idle: list[str], rng: Random) -> Lesson:
    before = [] if row.prior or rng.random() < 0.5 else rng.sample(idle, min(len(idle), rng.randint(1, _MOST_BEFORE)))
    t = round(rng.uniform(1.0, 3000.0), 1)
    lines: list[Line] = []
    for text in (*before, *row.prior, row.text):
        lines.append(Line(t, "" if row.speaker == "unknown" else row.speaker, text))
        t = round(t + rng.uniform(2.6, 8.0), 1)
    machines = _machines(surgery, rng)
    alone = rng.random() < 0.5  # no rules: what is said now is not in effect yet
    phase = row.expect_phase or row.phase or rng.choice(surgery.phase_ids)
    moment = Moment(
        t=lines[-1].t,
        phase="" if alone else row.phase or phase,
        machines=machines if alone else machines | effects,
    )
    answer = Answer(
        on=tuple(machine for machine, action in effects.items() if action == "ON"),
        off=tuple(machine for machine, action in effects.items() if action != "ON"),
        phase=phase,
        next=surgery.phase_after(phase) or phase,
        why="",
        tips=(),
    )
    return Lesson(surgery, tuple(lines), moment, answer, KIND, known="phase" if row.expect_phase else "toggles")


def _machines(surgery: Surgery, rng: Random) -> dict[str, Action]:
    """As at the beginning, or some others on."""
    others = 0.3 if rng.random() < 0.5 else 0.0
    return {m.id: "ON" if rng.random() < others else m.default_state for m in surgery.machines}
