"""The prompt stage: takes what publishers say, runs the rules at once, and decides what the model is asked.

Runs in the prompt process. Every accepted input but a partial line gives exactly one RuleOutcome; a question
that is due follows it, because its answer is published after that state.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pipeline.config import Config, PromptSection
from pipeline.errors import Rejected
from pipeline.messages import (
    Cancel,
    Completion,
    Input,
    JobLost,
    LLMRequest,
    LLMResponse,
    Message,
    ModelChanged,
    ModelState,
    Observation,
    Override,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Transcript,
    Verdict,
)
from pipeline.restore import Journalled
from stages.answer import AnswerForm
from stages.prompt.cues import PhaseCues
from stages.prompt.language import Language, load_language
from stages.prompt.prompts import Prompts
from stages.prompt.questions import Asking, GivenUp, OpenQuestions
from stages.prompt.requests import Requests
from stages.prompt.rules import RuleEngine
from stages.prompt.session import Change, Session
from stages.prompt.silence import Rules, Silence
from stages.prompt.site_words import load_vocabulary
from stages.prompt.tail import PromptForm
from stages.surgery import Surgery, find_surgery, unknown_surgery


class PromptStage:
    """Implements pipeline.stage.Stage."""

    def __init__(
        self,
        section: PromptSection,
        surgeries: Mapping[str, Surgery],
        form: PromptForm,
        answer: AnswerForm,
        *,
        language: Language | None = None,
        lockstep: bool = False,
        incarnation: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`incarnation` counts the starts of the process, so that job ids never come twice."""
        self._section = section
        self._surgeries = surgeries
        language = language or load_language()
        self._engines: dict[str, Rules] = {
            name: RuleEngine(surgery, surgeries.values(), language) if section.rules else Silence()
            for name, surgery in surgeries.items()
        }
        self._cues = {name: PhaseCues(surgery, language) for name, surgery in surgeries.items()}
        self._prompts = Prompts(form, answer, section.examples)
        self._answer: AnswerForm = answer
        self._lockstep = lockstep
        self._incarnation = f"{incarnation}." if incarnation else ""
        self._number = incarnation << 32  # of the newest snapshot of any session
        self._clock = clock
        self._wall = wall
        self._model: ModelState = "loading"
        self._model_error = ""
        self._sessions: dict[str, Asking] = {}
        self._open = OpenQuestions()
        self._requests = Requests(
            surgeries, self._engines, window_lines=section.window_lines, most=section.max_requests
        )
        self._asked = 0  # numbers the questions of all sessions
        self._dropped = Counter(gap=0, deferred=0)  # of sessions that are over
        self._counts: Counter[str] = Counter()
        self._handlers: dict[type[Message], Callable[[Any, int], list[Message]]] = {
            Transcript: self._transcript,
            Observation: self._observation,
            Override: self._override,
            SessionStart: self._start,
            SessionEnd: self._end,
            LLMRequest: self._request,
            Verdict: self._verdict,
            ModelChanged: self._model_changed,
            JobLost: self._job_lost,
        }

    at_work: tuple[str, ...] = ()

    def load(self) -> None:
        """Nothing takes long."""

    def restore(self, journalled: Iterable[Journalled]) -> list[Message]:
        """Take the inputs of before once more, ask nothing, and tell what each session has come to."""
        wall = self._wall
        for at, message in journalled:
            self._wall = partial(float, at)
            if isinstance(message, LLMResponse) and message.outcome != "rejected":
                self._requests.answered(message)
            elif isinstance(message, Input):
                try:
                    self._handlers[type(message)](message, self._clock())
                except Rejected:  # it was told then
                    continue
        self._wall = wall
        self._counts.clear()  # of what was counted then
        self._dropped.clear()
        for asking in self._sessions.values():
            self._dropped.subtract(asking.session.dropped())
        return self._tell_all(self._clock())

    @property
    def accepting(self) -> bool:
        return not (self._lockstep and self._open.sessions)

    @property
    def idle(self) -> bool:
        return len(self._open) == 0

    def handle(self, message: Message) -> Iterable[Message]:
        handler = self._handlers.get(type(message))
        if handler is None:
            raise Rejected("unknown_type", f"the prompt stage does not take {type(message).__name__} messages")
        try:
            sent = handler(message, self._clock())
        except Rejected as error:
            self._counts[f"rejected.{error.reason}"] += 1
            raise
        self._counts[f"accepted.{type(message).__name__}"] += 1
        return sent

    def step(self) -> Iterable[Message]:
        now = self._clock()
        late: list[Completion] = []
        for job_id in self._open.overdue(now):
            late += self._open.give_up(job_id, "timeout", "no answer of the model before the deadline", now)
        self._counts["timeouts"] += len(late)
        return late

    def wait_s(self) -> float | None:
        deadline = self._open.next_deadline_ns()
        return None if deadline is None else max(0.0, (deadline - self._clock()) / 1e9)

    def counters(self) -> dict[str, float]:
        counts: dict[str, float] = {name: float(count) for name, count in sorted(self._counts.items())}
        dropped = Counter(self._dropped)
        for asking in self._sessions.values():
            dropped.update(asking.session.dropped())
        counts |= {f"dropped.{cause}": float(count) for cause, count in dropped.items()}
        return counts | {
            "sessions_open": float(len(self._sessions)),
            "questions_open": float(self._open.sessions),
            "requests_open": float(self._open.requests),
        }

    def close(self) -> None:
        """Nothing is held."""

    # --- inputs of a session ------------------------------------------------------------------------------

    def _start(self, message: SessionStart, now: int) -> list[Message]:
        surgery = find_surgery(self._surgeries, message.surgery)
        if surgery is None:
            raise Rejected(
                "unknown_surgery", f"session {message.session!r}: {unknown_surgery(self._surgeries, message.surgery)}"
            )
        asking = self._sessions.get(message.session)
        if asking is None:
            if len(self._sessions) >= self._section.max_sessions:
                raise Rejected(
                    "too_many_sessions",
                    f"session {message.session!r}: {len(self._sessions)} sessions are open, as many as "
                    "prompt.max_sessions allows; end one with SessionEnd or raise it",
                )
            session = Session(message, surgery, self._cues[surgery.surgery], self._section, self._wall())
            asking = self._sessions[message.session] = Asking(session)
        elif asking.session.surgery is not surgery or asking.session.ending:
            asking.session.begin(message, surgery, self._cues[surgery.surgery], self._wall())
            asking.news = False
            if asking.job_id:  # about what is over: its answer could only be refused
                return [Cancel(job_id=asking.job_id), *self._publish(asking, Change(), now)]
        else:
            asking.session.come_back(message)
        return self._publish(asking, Change(), now)

    def _end(self, message: SessionEnd, now: int) -> list[Message]:
        asking = self._take(message)
        asking.session.ending = True
        sent = self._publish(asking, Change(), now)
        self._forget_if_over(asking)
        return sent

    def _transcript(self, message: Transcript, now: int) -> list[Message]:
        asking = self._take(message)
        if not message.is_final:
            self._counts["partials"] += 1
            return []
        session = asking.session
        engine = self._engines[session.surgery.surgery]
        change = session.hear(message, engine.read(message.text, message.speaker, session.recent(message.t)))
        if session.window.append(message.t, message.speaker, message.text):
            asking.news = True
        return self._publish(asking, change, now)

    def _observation(self, message: Observation, now: int) -> list[Message]:
        asking = self._take(message)
        return self._publish(asking, asking.session.observe(message), now)

    def _override(self, message: Override, now: int) -> list[Message]:
        asking = self._take(message)
        return self._publish(asking, asking.session.override(message), now)

    def _take(self, message: Input) -> Asking:
        asking = self._sessions.get(message.session)
        if asking is None or asking.session.ending:
            known = ", ".join(n for n, a in self._sessions.items() if not a.session.ending) or "none"
            raise Rejected(
                "unknown_session",
                f"session {message.session!r} is not running; publish SessionStart first. Running: {known}",
            )
        asking.session.take(message)
        return asking

    def _publish(self, asking: Asking, change: Change, now: int) -> list[Message]:
        rules = self._next_snapshot(asking.session, change, now)
        return [rules, self._question(asking, rules)] if self._may_ask(asking) else [rules]

    def _next_snapshot(self, session: Session, change: Change, now: int) -> RuleOutcome:
        """A snapshot that is sent to parse."""
        self._number += 1
        session.number = self._number
        return self._snapshot(session, change, now)

    def _snapshot(self, session: Session, change: Change, now: int) -> RuleOutcome:
        return session.snapshot(change, self._model, self._model_error, {"received": now})

    # --- questions ----------------------------------------------------------------------------------------

    def _may_ask(self, asking: Asking) -> bool:
        """Whether the session's next question is due and the model can be asked."""
        return self._model == "ready" and asking.may_ask(self._section.min_interval_s)

    def _question(self, asking: Asking, rules: RuleOutcome) -> PromptJob:
        """The session's next question."""
        session = asking.session
        self._asked += 1
        now = self._clock()
        job = PromptJob(
            job_id=f"s/{session.name}/{session.epoch}/{self._incarnation}{self._asked}",
            kind="session",
            rules=rules,
            prompt=self._prompts.build(session.surgery, session.window.transcript, session.moment()),
            answer=self._answer,
            deadline_ns=None if self._lockstep else now + round(self._section.request_timeout_s * 1e9),
            stamps={**rules.stamps, "asked": now},
        )
        asking.asked(job.job_id)
        self._open.add(job)
        self._counts["questions"] += 1
        return job

    def _verdict(self, verdict: Verdict, now: int) -> list[Message]:
        if not self._open.close(verdict.job_id):
            self._counts["dropped.late_verdict"] += 1
            return []
        self._counts[f"verdicts.{verdict.outcome}"] += 1
        if verdict.kind == "request":
            if verdict.response is None:
                return []
            self._requests.answered(verdict.response)
            return [verdict.response]
        asking = self._sessions[verdict.session]
        asking.job_id = ""
        asking.session.learn(verdict)
        job = None
        if self._may_ask(asking):
            job = self._question(asking, self._snapshot(asking.session, Change(), now))
        self._forget_if_over(asking)
        return [] if job is None else [job]

    def _forget_if_over(self, asking: Asking) -> None:
        if asking.session.ending and not asking.job_id:
            self._dropped.update(asking.session.dropped())
            del self._sessions[asking.session.name]

    # --- explicit requests --------------------------------------------------------------------------------

    def _request(self, request: LLMRequest, now: int) -> list[Message]:
        if (before := self._requests.again(request.request_id)) is not None:
            self._counts["requests_repeated"] += 1
            return [*before]
        read = self._requests.read(request, self._open.requests, self._model, self._model_error, self._wall(), now)
        if isinstance(read, LLMResponse):
            self._counts[f"answer.{read.outcome}"] += 1
            return [read]
        self._asked += 1
        job = PromptJob(
            job_id=f"r/{self._incarnation}{self._asked}/{request.request_id}",
            kind="request",
            rules=read.rules,
            prompt=self._prompts.build(read.surgery, read.transcript, read.moment),
            answer=self._answer,
            deadline_ns=now + request.deadline_ms * 1_000_000,
            stamps={"received": now, "asked": self._clock()},
        )
        self._open.add(job)
        self._requests.opened(request.request_id)
        self._counts["requests"] += 1
        if self._model == "ready":
            return [job]
        outcome: GivenUp = "stage_crashed" if self._model == "down" else "model_unavailable"
        return [*self._open.give_up(job.job_id, outcome, self._why_not(), now)]

    # --- the model ----------------------------------------------------------------------------------------

    def _model_changed(self, message: ModelChanged, now: int) -> list[Message]:
        if (message.state, message.error) == (self._model, self._model_error):
            return []
        self._model, self._model_error = message.state, message.error
        sent: list[Message] = []
        if message.state == "unavailable":  # it will not come back: what waits for it would wait for ever
            for job_id in self._open.waiting():
                sent += self._open.give_up(job_id, "model_unavailable", self._why_not(), now)
        return [*sent, *self._tell_all(now)]

    def _tell_all(self, now: int) -> list[Message]:
        live = [asking.session for asking in self._sessions.values() if not asking.session.ending]
        return [self._next_snapshot(session, Change(), now) for session in live]

    def _job_lost(self, message: JobLost, now: int) -> list[Message]:
        self._counts["jobs_lost"] += 1
        return [*self._open.give_up(message.job.job_id, "stage_crashed", message.error, now)]

    def _why_not(self) -> str:
        return self._model_error or f"the model is {self._model}"


def create(config: Config, incarnation: int = 0) -> PromptStage:
    """The stage as the configuration says. Raises ConfigError for bad surgeries, words or model name."""
    from models.manifest import find_manifest

    words = load_vocabulary(config.prompt)
    return PromptStage(
        config.prompt,
        words.surgeries,
        find_manifest(config.inference.model).prompt,
        config.inference.answer,
        language=words.language,
        lockstep=config.run.lockstep,
        incarnation=incarnation,
    )
