"""The case that is replayed while faults come, and how what came out is compared with an undisturbed run."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from pipeline.codec import encode, type_name
from pipeline.journal import JournalWriter, numbered_files, read_records
from pipeline.log import Log
from pipeline.messages import Input, LLMRequest, LLMResponse, Observation, Override, SurgeryState, Transcript
from pipeline.messages import SessionEnd as End
from pipeline.messages import SessionStart as Start
from pipeline.replay import MOST_BYTES
from pipeline.restore import Journal

ROUNDS: Final = 12
SAID: Final = (
    "we begin with the positioning",
    "turn on the suction please",
    "suction is too loud, turn it down to standby",
    "camera on",
    "no, sorry, leave the camera off",
    "the vitals look fine",
    "start the irrigation and lights off",
    "we are closing now",
)

OF_AN_OUTAGE: Final[tuple[str, ...]] = ("stage_crashed", "model_unavailable")

Key = tuple[str, int]  # session and the seq of the input
On = tuple[str, ...]


class Said(NamedTuple):
    """What a state says, without what differs from run to run."""

    off: On
    on: On
    phase: str
    next_phase: str


class Outcome(msgspec.Struct):
    """What came out of one or more runs over the same log."""

    states: dict[Key, list[SurgeryState]] = msgspec.field(default_factory=dict)
    answers: list[LLMResponse] = msgspec.field(default_factory=list)

    def take(self, state: SurgeryState) -> None:
        """One more state, in the order they came."""
        self.states.setdefault((state.session, state.based_on), []).append(state)


def write_case(path: Path) -> Log:
    """A log of two sessions side by side, with overrides, things seen and explicit requests."""
    writer = JournalWriter(path)
    for message in _messages():
        t, seq = (message.t, message.seq) if isinstance(message, Input) else (0.0, 0)
        writer.write(type_name(message), encode(message), t, seq)
    writer.close()
    return Log(path)


def _messages() -> Iterable[Input | LLMRequest]:
    seqs: Counter[str] = Counter()
    rooms = {"a": "PCNL", "b": "Lobectomy"}

    def common(room: str, t: float) -> dict[str, object]:
        seqs[room] += 1
        return {"session": room, "seq": seqs[room], "t": t}

    for room, surgery in rooms.items():
        yield Start(**common(room, 0.0), surgery=surgery, started_at=1.7e9)  # type: ignore[arg-type]
    for number in range(ROUNDS * len(SAID)):
        room, t = ("a", "b")[number % 2], 3.0 * number
        yield Transcript(**common(room, t), text=SAID[number // 2 % len(SAID)], speaker="Surgeon")  # type: ignore[arg-type]
        if number % 9 == 4:
            action = ("ON", "OFF", "RELEASE")[number // 9 % 3]
            yield Override(**common(room, t), machine="M01", action=action)  # type: ignore[arg-type]
        if number % 13 == 6:
            label = f"Phase{1 + number // 13 % 5}"
            yield Observation(**common(room, t), kind="phase", label=label, confidence=0.9)  # type: ignore[arg-type]
        if number % 10 == 7:
            said = f"[{t:.1f}s] Surgeon: {SAID[number % len(SAID)]}"
            yield LLMRequest(request_id=f"q{number}", surgery=rooms[room], transcript_context=said, deadline_ms=60_000)
    for room in rooms:
        yield End(**common(room, 1000.0))  # type: ignore[arg-type]


def said(state: SurgeryState) -> Said:
    """What of a state must be the same in every run."""
    machines, metadata = state.state["machines"], state.state["metadata"]
    return Said(tuple(machines["0"]), tuple(machines["1"]), metadata["phase"], metadata["next_phase"])


def wrong_states(undisturbed: Outcome, found: Outcome, outage: bool = False) -> list[str]:
    """Inputs whose last state is not what it was in the undisturbed run, or that have none, in words.

    `outage`: the model was away for a time: what came then may be of the rules alone, marked degraded.
    """
    faults = []
    for key, states in undisturbed.states.items():
        mine = found.states.get(key, [])
        if not mine:
            faults.append(f"no state of {key[0]} {key[1]}")
        elif (last := said(mine[-1])) != (due := said(states[-1])):
            faults.append(f"{key[0]} {key[1]}: {last} where {due} was due")
        elif outage and (mine[-1].degraded or not by_model(mine)):
            if mine[-1].degraded and mine[-1].outcome not in OF_AN_OUTAGE:
                faults.append(f"{key[0]} {key[1]}: {mine[-1].outcome} at its end")
        elif mine[-1].degraded:
            faults.append(f"{key[0]} {key[1]}: degraded at its end ({mine[-1].outcome})")
        elif by_model(states) and not by_model(mine):
            faults.append(f"{key[0]} {key[1]}: the model was not heard")
    faults += [f"a state of {key[0]} {key[1]}, which nobody sent" for key in found.states.keys() - undisturbed.states]
    return faults


def by_model(states: list[SurgeryState]) -> bool:
    """Whether one of them has the model's part."""
    return any(state.state["source"] != "rule" for state in states)


def gaps(found: Outcome, journal: Path) -> list[str]:
    """Numbers of states that neither a subscriber nor the journal has, in words.

    What a parse process had published and ZeroMQ had not sent when it was killed, a subscriber sees as a gap.
    """
    seqs: dict[str, set[int]] = {}
    for (session, _), states in (*found.states.items(), *published(journal).states.items()):
        seqs.setdefault(session, set()).update(state.seq for state in states)
    return [
        f"session {session}: states {sorted(lacking)} were never published"
        for session, seen in seqs.items()
        if (lacking := set(range(1, max(seen) + 1)) - seen)
    ]


def published(journal: Path) -> Outcome:
    """All states of a run by its journal."""
    outcome = Outcome()
    for _, state in Journal(journal, MOST_BYTES).read(SurgeryState):
        assert isinstance(state, SurgeryState)
        outcome.take(state)
    return outcome


def lost_requests(log: Log, undisturbed: Outcome, found: Outcome, journal: Path, outage: bool = False) -> list[str]:
    """Requests without an answer, with more than one, or with another than in the undisturbed run, in words.

    `outage`: an answer may say that the model was away, with what the rules know.
    """
    due = {answer.request_id: answer for answer in undisturbed.answers}
    faults = []
    recorded = _answers_in(journal)
    for message in log.messages:
        if not isinstance(message, LLMRequest):
            continue
        name = message.request_id
        mine = [answer for answer in found.answers if answer.request_id == name]
        different = {(answer.outcome, str(answer.output and answer.output["machines"])) for answer in mine}
        wanted = (due[name].outcome, str(due[name].output and due[name].output["machines"]))  # type: ignore[index]
        allowed = {wanted, *((outcome, wanted[1]) for outcome in OF_AN_OUTAGE if outage)}
        if len(different) != 1 or not different <= allowed:
            faults.append(f"request {name}: {different or 'no answer'} where {wanted} was due")
        elif len(recorded.get(name, set())) != 1:
            faults.append(f"request {name}: {len(recorded.get(name, set()))} answers in the journal")
    return faults


def _answers_in(journal: Path) -> dict[str, set[bytes]]:
    """The different answers to each request in the journals of all prompt processes of a run."""
    found: dict[str, set[bytes]] = {}
    for file in numbered_files(journal, "inputs"):
        for record in read_records(file):
            if record.topic == "LLMResponse":
                answer = msgspec.msgpack.decode(record.payload, type=LLMResponse)
                found.setdefault(answer.request_id, set()).add(record.payload)
    return found
