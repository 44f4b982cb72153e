"""Runs utterances and sessions through the stages and scores what comes. Runs in the command's process."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.eval.answering import By, came_of
from benchmarks.eval.judging import expected, faults, told
from benchmarks.eval.results import Failure, Mistake, Sessions, Utterances, of_sessions, of_utterances
from benchmarks.eval.room import Course, Room
from benchmarks.eval.scores import Score, Toggled, score
from benchmarks.eval.truth import Case
from benchmarks.eval.utterances import Utterance
from pipeline.config import PromptSection
from pipeline.messages import Input, Observation, SessionEnd, SessionStart, Transcript
from stages.surgery import Surgery

PAUSE_S = 5.0  # of message time between two lines, or more where the settings ask for it

Progress = Callable[[], None]  # called after each case


def evaluate_utterances(
    rows: Sequence[Utterance],
    room: Room,
    by: By,
    section: PromptSection,
    surgeries: Mapping[str, Surgery],
    progress: Progress,
) -> Utterances:
    """What comes of each row as a session of its own."""
    sessions = [as_session(row, pause_s(section)) for row in rows]
    failures, silent, false = [], 0, 0
    for row, session, course in zip(rows, sessions, room.run(sessions), strict=True):
        came = came_of(course, session[-2].seq, surgeries[row.surgery], by)
        if row.silent:
            silent += 1
            false += len(came.toggles)
        if found := faults(row, came):
            failures.append(
                Failure(
                    id=str(row.id),
                    category=row.category,
                    surgery=row.surgery,
                    text=row.text,
                    prior=row.prior,
                    expected=expected(row),
                    came=told(came),
                    faults=tuple(found),
                    toggles=came.toggles,
                )
            )
        progress()
    return of_utterances([row.category for row in rows], failures, silent, false)


def evaluate_sessions(cases: Sequence[Case], room: Room, progress: Progress) -> Sessions:
    """How near the published states of each session come to its truth."""
    logs = [[message for message in case.log.messages if isinstance(message, Input)] for case in cases]
    scores: dict[str, Score] = {}
    mistakes: list[Mistake] = []
    for case, log, course in zip(cases, logs, room.run(logs), strict=True):
        own = score(case.truth, case.surgery.machine_ids, course.states, max(message.t for message in log))
        scores[case.name] = own
        for kind, toggles in (("missed", own.missed), ("false", own.false)):
            mistakes += [_mistake(case.name, kind, toggle, log, course) for toggle in toggles]
        progress()
    return of_sessions(scores, mistakes)


def pause_s(section: PromptSection) -> float:
    """Message time between two lines of a row, so that each is asked about and none is debounced."""
    asks = 0.0 if section.min_interval_s == "auto" else section.min_interval_s
    return max(PAUSE_S, 2 * section.debounce_s, asks)


def as_session(row: Utterance, pause_s: float) -> list[Input]:
    """The row as a session: its start, the phase, the earlier lines, the utterance, and the end."""
    heard = [(row.speaker, text) for text in (*row.prior, row.text)]
    inputs: list[Input] = [SessionStart(session="row", seq=1, t=0.0, surgery=row.surgery, started_at=0.0)]
    if row.phase:
        inputs.append(Observation(session="row", seq=2, t=0.0, kind="phase", label=row.phase))
    for number, (speaker, text) in enumerate(heard, 1):
        seq = len(inputs) + 1
        inputs.append(Transcript(session="row", seq=seq, t=number * pause_s, speaker=speaker, text=text))
    return [*inputs, SessionEnd(session="row", seq=len(inputs) + 1, t=len(heard) * pause_s)]


def _mistake(name: str, kind: str, toggle: Toggled, log: Sequence[Input], course: Course) -> Mistake:
    lines = [message for message in log if isinstance(message, Transcript)]
    nearest = min(lines, key=lambda line: abs(line.t - toggle.t), default=None)
    words = [
        entry.get("trigger", "")
        for state in course.states
        if kind == "false" and state.t == toggle.t
        for entry in state.state["details"]["toggles"]
        if entry["machine_id"] == toggle.id
    ]
    return Mistake(
        session=name,
        kind=kind,
        t=toggle.t,
        id=toggle.id,
        state=toggle.state,
        said=nearest.text if nearest is not None else "",
        words=words[0] if words else "",
    )
