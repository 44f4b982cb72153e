"""How often the model is asked, by how fast it answers. Time is told to the prompt stage, none passes."""

from collections.abc import Iterable
from typing import Any

import pytest
from remembered import live_again

from pipeline.config import PromptSection, resolve
from pipeline.messages import Input, Learned, Message, ModelChanged, PromptJob, SessionStart, Transcript, Verdict
from stages.prompt.pace import Pace, cost_s
from stages.prompt.stage import PromptStage
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))


class Theatre:
    """Sessions in which somebody speaks, and one model that takes `answer_s` for a question, each after the other."""

    def __init__(self, answer_s: float, *, lockstep: bool = False, incarnation: int = 0, **section: Any) -> None:
        self.now = 0.0
        self.answer_s = answer_s
        self.asked: list[float] = []
        self.journal: list[Message] = []
        self.seq = 0
        self._busy_until = 0.0
        self._waiting: list[tuple[float, PromptJob]] = []
        self.stage = PromptStage(
            PromptSection(**section),
            SURGERIES,
            "completion",
            "small",
            lockstep=lockstep,
            incarnation=incarnation,
            clock=lambda: round(self.now * 1e9),
        )
        self.stage.handle(ModelChanged(state="ready", name="stub"))

    def start(self, *sessions: str) -> None:
        for session in sessions:
            self.seq += 1
            self.take(SessionStart(session=session, seq=self.seq, t=self.now, surgery="PCNL", started_at=0.0))

    def say(self, now: float, session: str = "a") -> None:
        """A line at that time, after all answers that came until then."""
        while self._waiting and self._waiting[0][0] <= now:
            self.now, job = self._waiting.pop(0)
            self.sent(self.stage.handle(verdict(job)))
        self.now = now
        self.seq += 1
        self.take(Transcript(session=session, seq=self.seq, t=now, text="how are you"))

    def take(self, message: Input) -> None:
        self.journal.append(message)
        self.sent(self.stage.handle(message))

    def sent(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, PromptJob):
                self.asked.append(self.now)
                self._busy_until = max(self._busy_until, self.now) + self.answer_s
                self._waiting.append((self._busy_until, message))
            if isinstance(message, PromptJob | Learned):
                self.journal.append(message)


def verdict(job: PromptJob, outcome: Any = "ok") -> Verdict:
    return Verdict(job_id=job.job_id, kind="session", session=job.rules.session, epoch=0, outcome=outcome, t=0.0)


def test_a_model_that_answers_in_a_tenth_of_a_second_is_asked_at_every_line() -> None:
    room = Theatre(0.1)
    room.start("a")
    lines = [float(t) for t in range(1, 40)]
    for t in lines:
        room.say(t)
    assert room.asked[-30:] == lines[-30:]


def test_a_model_that_takes_three_seconds_rests_as_long_as_it_works() -> None:
    room = Theatre(3.0)
    room.start("a")
    for t in range(1, 200):
        room.say(float(t))
    assert {after - before for before, after in zip(room.asked[3:], room.asked[4:], strict=False)} == {6.0}


def test_before_anything_is_measured_the_pause_is_two_seconds() -> None:
    assert Pace("auto", 0.5, lockstep=False).pause_s(0) == pytest.approx(2.0)


def test_many_sessions_together_keep_the_model_no_busier_than_one_may() -> None:
    sessions = [f"s{number}" for number in range(64)]
    room = Theatre(0.1)
    room.start(*sessions)
    for second in range(1, 81):
        for number, session in enumerate(sessions):
            room.say(second + number / 64, session)
    at_work_s = 0.1 * len([t for t in room.asked if 40.0 <= t < 80.0])
    assert 0.3 * 40.0 <= at_work_s <= 0.7 * 40.0  # about five questions a second, not 64


def test_of_two_sessions_one_that_was_silent_is_not_held_up() -> None:
    room = Theatre(1.0)
    room.start("busy", "quiet")
    for t in range(1, 61):
        room.say(float(t), "busy")
    room.say(60.5, "quiet")
    assert room.asked[-1] == 60.5


def test_a_model_that_becomes_slower_is_asked_less_after_three_answers() -> None:
    pace = Pace("auto", 0.5, lockstep=False)
    for cost in (0.2, 0.2, 0.2, 0.2, 0.2, 4.0, 4.0):
        pace.learn(cost)
    pace.asked = 1
    assert pace.pause_s(1) == pytest.approx(0.4)
    pace.learn(4.0)
    assert pace.pause_s(1) == pytest.approx(8.0)


def test_what_was_answered_together_cost_each_its_share() -> None:
    assert cost_s(1_000_000_000, 3_000_000_000, waiting=4) == pytest.approx(0.5)


def test_a_fixed_pause_is_kept_whatever_the_speed() -> None:
    room = Theatre(0.1, min_interval_s=5.0)
    room.start("a")
    for t in range(1, 22):
        room.say(float(t))
    assert room.asked == [1.0, 6.0, 11.0, 16.0, 21.0]


def test_in_lockstep_every_line_is_asked_about_however_long_an_answer_took() -> None:
    room = Theatre(0.9, lockstep=True)
    room.start("a")
    for t in range(1, 9):
        room.say(float(t))
    assert room.asked == [float(t) for t in range(1, 9)]
    assert all(message.cost_s is None for message in room.journal if isinstance(message, Learned))


@pytest.mark.parametrize(("outcome", "measured"), [("parse_failed", True), ("timeout", True), ("stage_crashed", False)])
def test_what_the_model_did_not_answer_tells_nothing_of_its_speed(outcome: Any, measured: bool) -> None:
    room = Theatre(0.0)
    room.start("a")
    room.say(1.0)
    [job] = [message for message in room.journal if isinstance(message, PromptJob)]
    room.now = 1.75
    [learned] = [m for m in room.stage.handle(verdict(job, outcome)) if isinstance(m, Learned)]
    assert learned.cost_s == (0.75 if measured else None)


@pytest.mark.parametrize("answer_s", [0.1, 1.0, 4.0])
def test_a_process_that_goes_on_asks_when_the_dead_one_would_have(answer_s: float) -> None:
    first = Theatre(answer_s)
    first.start("a", "b")
    for t in range(1, 41):
        first.say(float(t), "ab"[t % 3 == 0])
    first.say(60.0)  # all is answered but this
    second = Theatre(answer_s, incarnation=1)
    second.now, second.seq = first.now, first.seq
    second.sent(live_again(second.stage, first.journal))
    asked_before = len(first.asked)
    asked_again = len(second.asked)
    for t in range(61, 120):
        for room in (first, second):
            room.say(float(t), "ab"[t % 3 == 0])
    assert second.asked[asked_again:] == first.asked[asked_before:]
    assert len(first.asked) > asked_before
