"""A prompt process that dies at any moment: the one in its place goes on as the dead one would have."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import msgspec
import pytest
from remembered import Remembered, live_again

from pipeline.config import PromptSection, resolve
from pipeline.errors import Rejected
from pipeline.messages import (
    Input,
    Learned,
    Message,
    ModelChanged,
    Observation,
    Override,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Toggle,
    Transcript,
    Verdict,
)
from stages.phases import answered
from stages.prompt.stage import PromptStage
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
SAID = (
    "turn on the suction",
    "camera off please",
    "no, sorry, leave it on",
    "in two minutes start the irrigation",
    "we are closing the skin now",
    "how are you today",
    "laser on and lights down",
)
READY = ModelChanged(state="ready", name="stub")


def course(random: Random, length: int) -> Iterator[Input]:
    """What two publishers send of two sessions, which end and begin again; some of it is refused."""
    t, seq = 0.0, 0
    for _ in range(length):
        t, seq = t + random.choice((0.5, 2.0, 20.0)), seq + random.choice((1, 1, 1, 2))
        session, dice = random.choice(("a", "b")), random.random()
        if dice < 0.1:
            surgery = random.choice(("PCNL", "PCNL", "Lobectomy", "none"))
            yield SessionStart(session=session, seq=seq, t=t, surgery=surgery, started_at=5.0)
        elif dice < 0.15:
            yield SessionEnd(session=session, seq=seq, t=t)
        elif dice < 0.25:
            yield Override(session=session, seq=seq, t=t, machine="M06", action=random.choice(("ON", "OFF", "RELEASE")))
        elif dice < 0.35:
            yield Observation(
                session=session, seq=seq, t=t, kind="phase", label=f"Phase{random.randint(1, 7)}", confidence=0.8
            )
        else:
            yield Transcript(
                session=session, seq=seq, t=t, text=random.choice(SAID), is_final=random.random() < 0.9, speaker="S"
            )


class Process:
    """A prompt stage with its journal, and an inference and parse process that answer when they are told to."""

    def __init__(self, incarnation: int = 0) -> None:
        self.stage = PromptStage(
            PromptSection(),
            SURGERIES,
            "completion",
            "small",
            incarnation=incarnation,
            clock=lambda: 7,
            wall=lambda: 9.0,
        )
        self.stage.handle(READY)
        self.journal: list[Message] = []
        self.outcomes: list[RuleOutcome] = []
        self.asked: list[PromptJob] = []

    def take(self, message: Message) -> None:
        if isinstance(message, Input):
            self.journal.append(message)
        with suppress(Rejected):
            self.sent(self.stage.handle(message))

    def sent(self, messages: object) -> None:
        for message in list(messages):  # type: ignore[call-overload]
            if isinstance(message, RuleOutcome):
                self.outcomes.append(message)
            if isinstance(message, PromptJob):
                self.asked.append(message)
            if isinstance(message, PromptJob | Learned):
                self.journal.append(message)

    def answer(self, random: Random) -> None:
        """Some of the open questions are answered."""
        for job in [job for job in self.asked if random.random() < 0.5]:
            self.asked.remove(job)
            self.take(verdict(job, random))


def verdict(job: PromptJob, random: Random) -> Verdict:
    """What the model thought of the phase, and a machine that it switches."""
    rules = job.rules
    machine, phase = random.choice(sorted(rules.machines)), f"Phase{random.randint(1, 7)}"
    return Verdict(
        job_id=job.job_id,
        kind="session",
        session=rules.session,
        epoch=rules.epoch,
        outcome=random.choice(("ok", "ok", "timeout")),
        t=rules.t,
        phase=phase,
        evidence=answered(phase, 0.9),
        toggles=(Toggle(machine_id=machine, name=machine, action="ON", trigger="model", confidence=0.5),),
    )


def plain(rules: RuleOutcome) -> RuleOutcome:
    """An outcome without what tells one process from another."""
    return msgspec.structs.replace(rules, number=0, again=False)


@pytest.mark.parametrize("seed", range(150))
def test_it_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    random = Random(seed)
    inputs = list(course(random, 60))
    dies_at = random.randrange(len(inputs))
    first = Process()
    for message in inputs[:dies_at]:
        first.take(message)
        first.answer(random)
    before = len(first.outcomes)

    second = Process(incarnation=1)
    second.sent(live_again(second.stage, first.journal))
    again = [rules for rules in second.outcomes if rules.again]
    assert [plain(rules) for rules in again] == [plain(rules) for rules in first.outcomes]
    assert all(rules.number > first.outcomes[-1].number for rules in second.outcomes)
    assert [plain(job.rules) for job in second.asked] == [plain(job.rules) for job in first.asked]

    told = len(second.outcomes)
    for message in inputs[dies_at:]:
        state = random.getstate()
        first.take(message)
        first.answer(random)
        random.setstate(state)
        second.take(message)
        second.answer(random)
    assert [plain(rules) for rules in second.outcomes[told:]] == [plain(rules) for rules in first.outcomes[before:]]


def test_what_was_asked_and_not_journalled_is_learned_from_all_the_same() -> None:
    first = Process()
    for message in (
        SessionStart(session="a", seq=1, t=0.0, surgery="PCNL"),
        Transcript(session="a", seq=2, t=5.0, text="turn on the suction"),
    ):
        first.take(message)
    [job] = first.asked
    second = Process(incarnation=1)
    second.sent(live_again(second.stage, [message for message in first.journal if message is not job]))
    late = msgspec.structs.replace(verdict(job, Random(0)), outcome="ok", phase="Phase3")
    assert second.stage.handle(late) == [Learned(verdict=late, after=second.outcomes[-1].place)]
    assert second.stage.handle(late) == []
    assert [job.rules.seq for job in second.asked] == [2]  # its own question, for it knew of no other


def test_a_verdict_that_parse_gives_again_is_not_learned_from_again() -> None:
    room, verdicts = Process(), []
    room.take(SessionStart(session="a", seq=1, t=0.0, surgery="PCNL"))
    for seq in range(2, 14):
        room.take(Transcript(session="a", seq=seq, t=10.0 * seq, text="turn on the suction"))
        verdicts.append(msgspec.structs.replace(verdict(room.asked[-1], Random(seq)), outcome="ok", phase="Phase3"))
        room.sent(room.stage.handle(verdicts[-1]))
    assert len({each.job_id for each in verdicts}) == 12
    assert [list(room.stage.handle(each)) for each in verdicts] == [[]] * 12

    second = Process(incarnation=1)
    second.sent(live_again(second.stage, room.journal))
    second.take(Transcript(session="a", seq=14, t=150.0, text="turn off the suction"))
    newest = msgspec.structs.replace(verdict(second.asked[-1], Random(0)), outcome="ok")
    second.sent(second.stage.handle(newest))
    assert [list(second.stage.handle(each)) for each in (*verdicts, newest)] == [[]] * 13


def test_what_is_surely_handled_is_not_told_again_beyond_what_can_have_been_on_its_way() -> None:
    first, random = Process(), Random(1)
    for message in course(random, 60):
        first.take(message)
        first.answer(random)
    stage = PromptStage(PromptSection(), SURGERIES, "completion", "small", incarnation=1, on_their_way=4)
    restored = stage.restore(Remembered(first.journal))
    told = [rules for rules in restored.sent if isinstance(rules, RuleOutcome)]
    for message in restored.inputs:
        with suppress(Rejected):
            told += [rules for rules in stage.handle(message) if isinstance(rules, RuleOutcome)]
    assert 4 <= len(told) < len(first.outcomes)
    last = first.outcomes[-len(told) :]
    assert [(rules.session, rules.place) for rules in told] == [(rules.session, rules.place) for rules in last]
