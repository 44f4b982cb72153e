"""A prompt stage and what is said to it, for its tests."""

from collections.abc import Iterable
from typing import Any

from pipeline.config import PromptSection, resolve
from pipeline.messages import (
    Completion,
    Learned,
    LLMRequest,
    LLMResponse,
    Message,
    ModelChanged,
    Observation,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Transcript,
    Verdict,
)
from stages.prompt.stage import PromptStage
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
SECOND = 1_000_000_000


class Room:
    """A prompt stage with a clock that stands until it is moved, and publishers that count."""

    def __init__(self, *, ready: bool = True, lockstep: bool = False, incarnation: int = 0, **section: Any) -> None:
        self.now = 5 * SECOND
        self.seq = 0
        self.stage = PromptStage(
            PromptSection(**section),
            SURGERIES,
            "completion",
            "small",
            lockstep=lockstep,
            incarnation=incarnation,
            clock=lambda: self.now,
            wall=lambda: 1_700_000_000.0,
        )
        if ready:
            self.model("ready")

    def send(self, message: Message) -> list[Message]:
        return list(self.stage.handle(message))

    def start(self, surgery: str = "PCNL", session: str = "a", t: float = 0.0, **more: Any) -> list[Message]:
        self.seq += 1
        return self.send(SessionStart(session=session, seq=self.seq, t=t, surgery=surgery, **more))

    def say(self, t: float, text: str, session: str = "a", **more: Any) -> list[Message]:
        self.seq += 1
        return self.send(Transcript(session=session, seq=self.seq, t=t, text=text, **more))

    def see(self, t: float, kind: Any, label: str, value: str = "") -> list[Message]:
        self.seq += 1
        return self.send(Observation(session="a", seq=self.seq, t=t, kind=kind, label=label, value=value))

    def end(self, t: float) -> list[Message]:
        self.seq += 1
        return self.send(SessionEnd(session="a", seq=self.seq, t=t))

    def model(self, state: Any, error: str = "") -> list[Message]:
        return self.send(ModelChanged(state=state, error=error))

    def answer(self, job: PromptJob, outcome: Any = "ok", **more: Any) -> list[Message]:
        """A verdict; what is sent on, the record for the journal apart."""
        rules = job.rules
        sent = self.send(
            Verdict(
                job_id=job.job_id,
                kind=job.kind,
                session=rules.session,
                epoch=rules.epoch,
                outcome=outcome,
                t=rules.t,
                **more,
            )
        )
        return [message for message in sent if not isinstance(message, Learned)]


def jobs(sent: Iterable[Message]) -> list[PromptJob]:
    return [message for message in sent if isinstance(message, PromptJob)]


def job(sent: Iterable[Message]) -> PromptJob:
    (only,) = jobs(sent)
    return only


def outcome(sent: Iterable[Message]) -> RuleOutcome:
    (only,) = (message for message in sent if isinstance(message, RuleOutcome))
    return only


def given_up(sent: Iterable[Message]) -> Completion:
    (only,) = sent
    assert isinstance(only, Completion)
    return only


def request(request_id: str = "q1", **more: Any) -> LLMRequest:
    return LLMRequest(**{"request_id": request_id, "surgery": "PCNL", **more})


def response(sent: Iterable[Message]) -> LLMResponse:
    (only,) = sent
    assert isinstance(only, LLMResponse)
    return only


def types(sent: Iterable[Message]) -> list[type]:
    return [type(message) for message in sent]
