"""What a journal says of each of its sessions, in the order in which it happened. Runs in the command's process."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.codec import decode_inner, decode_input, is_json
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.journal import LOSS_TOPIC, Loss, Record, files_of, in_order
from pipeline.log import MAX_BYTES, REPLAYED
from pipeline.messages import (
    Completion,
    DeadLetter,
    Input,
    LLMRequest,
    LLMResponse,
    SessionEnd,
    SessionStart,
    SurgeryState,
    Toggle,
)
from pipeline.progress import Progress, Reading, silent
from pipeline.wire_format import read_answer, read_output


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A published state differs from the one before it: a machine, or the phase."""

    t: float
    machine: str = ""  # "": the phase
    to: str  # ON, OFF, STANDBY, or the phase
    by: str  # rule, model, observation, override, default; of a phase: rule or model
    toggle: Toggle | None = None  # what was heard of the machine


class Entry(msgspec.Struct, kw_only=True):
    """One input of a session, and what came of it."""

    input: Input
    changes: list[Change] = []
    answer: Completion | None = None  # of the model, to the question that was asked at it
    took_ms: dict[str, float] = {}  # from the input to its state, by `rule` and `model`


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture needs of a published state."""

    t: float
    wall_s: float  # Unix time
    outcome: str
    phase: str
    by: str  # rule or model
    on: frozenset[str]
    standby: frozenset[str]
    set_by: dict[str, str]
    total_ms: float | None


class Session(msgspec.Struct, kw_only=True):
    """One case, from its start to its end or to that of the journal."""

    number: int  # in the journal, from 1
    name: str
    start: SessionStart
    began: float  # Unix time of the record of the start
    entries: list[Entry] = []
    moments: list[Moment] = []
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)  # of states
    answers: Counter[str] = msgspec.field(default_factory=Counter)  # of the model, by outcome
    ended: bool = False

    def anchor(self, entry: int) -> str:
        """The name of an entry's line within a page."""
        return f"line-{self.number}-{entry}"

    @property
    def end_s(self) -> float:
        """The message time of the last that is known."""
        return max((*(entry.input.t for entry in self.entries), *(moment.t for moment in self.moments), 0.0))


class Case(msgspec.Struct, kw_only=True):
    """A journal."""

    path: str
    sessions: list[Session] = []
    inputs: Counter[str] = msgspec.field(default_factory=Counter)  # by type
    dead_letters: Counter[str] = msgspec.field(default_factory=Counter)  # by reason
    requests: Counter[str] = msgspec.field(default_factory=Counter)  # answers to them, by outcome
    restarts: list[tuple[float, str]] = []  # Unix time, and the process that was started again
    lost: int = 0  # records that could not be written
    unread: int = 0  # records of another version, or damaged


def read_case(path: Path, progress: Progress = silent) -> Case:
    """The sessions of a run's folder, or of one file. Raises OrstateError for what is no journal."""
    return _Reader(path, progress).case


class _Metadata(msgspec.Struct):
    phase: str


class _Details(msgspec.Struct):
    toggles: tuple[Toggle, ...] = ()
    standby: tuple[str, ...] = ()
    set_by: dict[str, str] = {}


class _Contract(msgspec.Struct):
    """What is read of a state; one of another version is left out."""

    metadata: _Metadata
    machines: dict[str, tuple[str, ...]]
    details: _Details
    source: str


class _Reader:
    def __init__(self, path: Path, progress: Progress) -> None:
        self.case = Case(path=str(path))
        self._open: dict[str, Session] = {}
        self._by_seq: dict[tuple[str, int], Entry] = {}  # the newest of that number
        files = files_of(path)
        for record in Reading(files, progress).of(in_order(files)):
            try:
                self._take(record)
            except (*UNDECODABLE, OrstateError):
                self.case.unread += 1
        self.case.restarts = sorted(_restarts(files))

    def _take(self, record: Record) -> None:
        case, payload = self.case, record.payload
        if record.topic in REPLAYED:
            message = decode_input([payload], MAX_BYTES)
            case.inputs[record.topic] += 1
            if not isinstance(message, LLMRequest):
                self._input(message, record.wall_ns / 1e9)
        elif record.topic == SurgeryState.__name__:
            state = read_output((record.topic.encode(), payload))
            if isinstance(state, SurgeryState) and state.session in self._open:
                self._state(self._open[state.session], state, record.wall_ns / 1e9)
        elif record.topic == Completion.__name__:
            self._answer(decode_inner(payload))
        elif record.topic == LLMResponse.__name__:
            response = read_answer((record.topic.encode(), payload))
            case.requests[response.outcome if isinstance(response, LLMResponse) else "?"] += 1
        elif record.topic == DeadLetter.__name__:
            decoder = msgspec.json.decode if is_json(payload) else msgspec.msgpack.decode
            case.dead_letters[decoder(payload, type=DeadLetter).reason] += 1
        elif record.topic == LOSS_TOPIC:
            case.lost += msgspec.msgpack.decode(payload, type=Loss).records

    def _input(self, message: Input, wall_s: float) -> None:
        session = self._open.get(message.session)
        if isinstance(message, SessionStart) and (
            session is None or session.ended or session.start.surgery != message.surgery
        ):
            session = Session(number=len(self.case.sessions) + 1, name=message.session, start=message, began=wall_s)
            self._open[message.session] = session
            self.case.sessions.append(session)
        if session is None:  # refused, as it was when it came
            return
        entry = Entry(input=message)
        session.entries.append(entry)
        session.ended = session.ended or isinstance(message, SessionEnd)
        self._by_seq[message.session, message.seq] = entry

    def _state(self, session: Session, state: SurgeryState, wall_s: float) -> None:
        contract = msgspec.convert(state.state, _Contract)
        by = "rule" if contract.source == "rule" else "model"
        moment = Moment(
            t=state.t,
            wall_s=wall_s,
            outcome=state.outcome,
            phase=contract.metadata.phase,
            by=by,
            on=frozenset(contract.machines.get("1", ())),
            standby=frozenset(contract.details.standby),
            set_by=contract.details.set_by,
            total_ms=state.timings.get("total"),
        )
        session.outcomes[state.outcome] += 1
        if entry := self._by_seq.get((state.session, state.based_on)):
            if session.moments:
                entry.changes += _changes(session.moments[-1], moment, contract.details.toggles)
            if moment.total_ms is not None:
                entry.took_ms.setdefault(by, moment.total_ms)
        session.moments.append(moment)

    def _answer(self, completion: Any) -> None:
        if not isinstance(completion, Completion) or completion.kind != "session":
            return
        if session := self._open.get(completion.rules.session):
            session.answers[completion.outcome] += 1
        if entry := self._by_seq.get((completion.rules.session, completion.rules.seq)):
            entry.answer = completion


def _changes(before: Moment, now: Moment, toggles: tuple[Toggle, ...]) -> Iterator[Change]:
    heard = {toggle.machine_id: toggle for toggle in toggles}
    for machine in sorted((before.on ^ now.on) | (before.standby ^ now.standby)):
        to = "ON" if machine in now.on else "STANDBY" if machine in now.standby else "OFF"
        yield Change(t=now.t, machine=machine, to=to, by=now.set_by.get(machine, ""), toggle=heard.get(machine))
    if before.phase != now.phase:
        yield Change(t=now.t, to=now.phase, by=now.by)


def _restarts(files: list[Path]) -> Iterator[tuple[float, str]]:
    """A process that is started again begins a new file: the first record of each but the first."""
    processes = {"inputs": "prompt", "outputs": "parse"}
    for file in files:
        part, _, number = file.stem.rpartition("-")
        if part in processes and number.isdecimal() and int(number) > 1:
            first = next(in_order([file]), None)
            if first is not None:
                yield first.wall_ns / 1e9, processes[part]
