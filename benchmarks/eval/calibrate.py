"""`eval --calibrate`: who is right how often where the rules and the model disagree. Runs in the command's process.

Only what is marked as the half to tune with is used. The rules read as always; the model is asked as always, and
nothing of its answers is taken, so that every disagreement shows what each of them would have done alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from benchmarks.eval.evaluate import Progress, as_session, pause_s
from benchmarks.eval.room import Course, Room
from benchmarks.eval.truth import ENDING, Case, Truth, read_cases
from benchmarks.eval.utterances import Utterance, read_utterances
from models.trust import EDGES, Kind, Tally, Trust, bin_of
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.messages import Completion, Input, Transcript
from stages.parse.fusion import claims
from stages.parse.judge import judge
from stages.surgery import Surgery

HALF: Final = "tune"
KINDS: Final[tuple[Kind, ...]] = ("on", "off", "beside", "hinted", "named", "contradicted", "unsaid", "phase")
State = Literal["ON", "OFF"]
Machine = Callable[[str], State | Literal[""] | None]  # what is true of a machine; "": as before; None: not known


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the model said and the rules did not, or the other way, and whether the model was right in it."""

    kind: Kind
    about: str  # the machine and its state, or the phase, that the model said; of what it did not say, the rules'
    probability: float
    right: bool


class Disagreement(Seen, frozen=True, kw_only=True):
    """What was seen, and where: the form of a line of `--json`."""

    place: str  # the id of the row, or the session and the message time
    said: str  # the newest line


class Sets(NamedTuple):
    """What is measured with."""

    rows: list[Utterance]
    cases: list[Case]

    @property
    def names(self) -> tuple[str, ...]:
        """What it is, in words."""
        return (f"{len(self.rows)} utterances", f"{len(self.cases)} sessions")


def read_sets(path: Path, surgeries: Mapping[str, Surgery]) -> Sets:
    """The half to tune with of a file of utterances, of a folder of sessions, or of a folder that has both.

    Raises ConfigError, also if there is nothing of that half.
    """
    if not path.is_dir():
        return Sets(read_utterances(path, surgeries, HALF), [])
    files = sorted(file for file in path.glob("*.jsonl") if not file.with_suffix(ENDING).exists())
    folders = sorted({file.parent for file in path.glob(f"**/*{ENDING}")})
    rows = [row for file in files for row in read_utterances(file, surgeries, None) if row.half == HALF]
    cases = [case for folder in folders for case in read_cases(folder, surgeries, None) if case.truth.half == HALF]
    if not (rows or cases):
        raise ConfigError(f"{path}: nothing of half {HALF!r} in it; mark what may be calibrated with")
    return Sets(rows, cases)


def measure(
    sets: Sets, config: Config, room: Room, surgeries: Mapping[str, Surgery], progress: Progress
) -> list[Disagreement]:
    """All in which the rules and the model that answers in `room` disagree, in the order of the sets."""
    sessions = [as_session(row, pause_s(config.prompt)) for row in sets.rows]
    found: list[Disagreement] = []
    with closing(room):
        for row, session, course in zip(sets.rows, sessions, room.run(sessions), strict=True):
            seen = of_utterance(row, session[-2].seq, course, surgeries[row.surgery])
            found += [_placed(one, str(row.id), row.text) for one in seen]
            progress()
        logs = [[message for message in case.log.messages if isinstance(message, Input)] for case in sets.cases]
        for case, log, course in zip(sets.cases, logs, room.run(logs), strict=True):
            found += of_session(case, log, course)
            progress()
    return found


def concluded(found: Sequence[Disagreement], sets: Sets, weights: str) -> Trust:
    """How far the model is trusted after that; `weights`: the sha256 of its own."""
    return Trust(weights=weights, sets=sets.names, edges=EDGES, **{kind: tally(found, kind) for kind in KINDS})


def tally(found: Sequence[Disagreement], kind: Kind) -> Tally:
    """The counts of one kind in each bin."""
    own = [(bin_of(one.probability), one.right) for one in found if one.kind == kind]
    bins = range(len(EDGES))
    return Tally(
        right=tuple(sum(right for at, right in own if at == number) for number in bins),
        of=tuple(sum(at == number for at, _ in own) for number in bins),
    )


def of_utterance(row: Utterance, seq: int, course: Course, surgery: Surgery) -> Iterator[Seen]:
    """What was said about the input of that number."""
    for answer in course.answers:
        if answer.rules.seq == seq:
            yield from _seen(answer, surgery, true_of(row), row.expect_phase, again=True)


def of_session(case: Case, log: Sequence[Input], course: Course) -> Iterator[Disagreement]:
    """What was said at all questions of a session, but for what was so already: its truth does not tell who said it."""
    lines = [message for message in log if isinstance(message, Transcript)]
    for answer in course.answers:
        t = answer.rules.t
        said = next((line.text for line in reversed(lines) if line.seq <= answer.rules.seq), "")
        for one in _seen(answer, case.surgery, true_at(case.truth, t), phase_at(case.truth, t), again=False):
            yield _placed(one, f"{case.name} {t:.1f} s", said)


def true_of(row: Utterance) -> Machine:
    """What a row says of each machine; of those that it leaves open nothing is known."""

    def true(machine: str) -> State | Literal[""] | None:
        if machine in row.on or machine in row.off:
            return "ON" if machine in row.on else "OFF" if row.way != "any_off" else None
        if row.way == "exact":
            return ""
        if row.way == "absent" and (row.expect_absent is None or machine in row.expect_absent):
            return ""
        return None

    return true


def true_at(truth: Truth, t: float) -> Machine:
    """How each machine is at `t`."""
    on = set(truth.initial_on)
    for switch in sorted(truth.machines, key=lambda switch: switch.t):
        if switch.t <= t:
            (on.add if switch.state == "ON" else on.discard)(switch.id)
    return lambda machine: "ON" if machine in on else "OFF"


def phase_at(truth: Truth, t: float) -> str | None:
    """The phase at `t`; None before the first."""
    starts = sorted(truth.phases, key=lambda start: start.start_s)
    number = bisect_right(starts, t, key=lambda start: start.start_s)
    return starts[number - 1].phase if number else None


def _seen(completion: Completion, surgery: Surgery, true: Machine, phase: str | None, again: bool) -> Iterator[Seen]:
    answer, rules = judge(completion, surgery).answer, completion.rules
    if answer is None or not answer.measured:
        return
    for kind, toggle, changes in claims(answer, rules, rules):
        if (changes or again) and (state := true(toggle.machine_id)) is not None:
            about = f"{toggle.machine_id} {toggle.action}"
            yield Seen(kind=kind, about=about, probability=toggle.confidence, right=state == toggle.action)
    said = {toggle.machine_id for toggle in answer.toggles}
    for toggle in rules.toggles:
        state = true(toggle.machine_id)
        if toggle.machine_id not in said and state is not None:
            about = f"{toggle.machine_id} {toggle.action}"
            switched = "ON" if toggle.action == "ON" else "OFF"
            yield Seen(kind="unsaid", about=about, probability=0.0, right=state != switched)
    if phase is not None and answer.phase and answer.phase != rules.phase:
        right = answer.phase == phase
        yield Seen(kind="phase", about=answer.phase, probability=answer.phase_confidence, right=right)


def _placed(seen: Seen, place: str, said: str) -> Disagreement:
    return Disagreement(place=place, said=said, **msgspec.structs.asdict(seen))
