"""The prompt stage: takes what publishers say, runs the rules at once, and decides what the model is asked.

Runs in the prompt process. Every accepted input but a partial line gives exactly one RuleOutcome; a question
that is due follows it, because its answer is published after that state.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from pipeline.config import Config, PromptSection
from pipeline.control import StageName
from pipeline.errors import Rejected
from pipeline.messages import (
    Cancel,
    Completion,
    JobLost,
    Learned,
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
from pipeline.restore import Past, Restored
from stages.answer import AnswerForm
from stages.prompt.change import Change
from stages.prompt.crashes import Crashes
from stages.prompt.cues import PhaseCues
from stages.prompt.language import Language, load_language
from stages.prompt.links import link_for
from stages.prompt.pace import Pace, cost_s
from stages.prompt.prompts import Prompts
from stages.prompt.questions import Asking, GivenUp, Open, OpenQuestions
from stages.prompt.relive import Relive
from stages.prompt.requests import Requests
from stages.prompt.rules import RuleEngine
from stages.prompt.session import Session
from stages.prompt.sessions import Sessions
from stages.prompt.silence import Rules, Silence
from stages.prompt.site_words import load_vocabulary
from stages.prompt.tail import PromptForm
from stages.prompt.taught import UNTAUGHT, Taught, taught_by
from stages.surgery import Surgery

ON_THEIR_WAY: Final = 128  # outcomes, at most, that wait for a slot: two bursts of the loop
_GUILTY: Final = "the inference process died twice of this question, under another id; it is not asked again for now"


class PromptStage:
    """Implements pipeline.stage.Stage."""

    def __init__(
        self,
        section: PromptSection,
        surgeries: Mapping[str, Surgery],
        form: PromptForm,
        answer: AnswerForm,
        *,
        taught: Taught = UNTAUGHT,
        language: Language | None = None,
        lockstep: bool = False,
        incarnation: int = 0,
        on_their_way: int = 256,
        clock: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`taught`: what the model can read, where the section leaves it to the model. `incarnation` counts the starts
        of the process, so that job ids never come twice. `on_their_way`: outcomes that parse may not have had when a
        process before this one died, at most.
        """
        taught = taught.under(section)
        self._section = section
        self._surgeries = surgeries
        language = language or load_language()
        self._engines: dict[str, Rules] = {
            name: RuleEngine(surgery, surgeries.values(), language) if section.rules else Silence()
            for name, surgery in surgeries.items()
        }
        cues = {name: PhaseCues(surgery, language) for name, surgery in surgeries.items()}
        links = {name: link_for(taught, surgery, cues[name], language) for name, surgery in surgeries.items()}
        self._prompts = Prompts(form, answer, taught.examples)
        self._answer: AnswerForm = answer
        self._lockstep = lockstep
        self._incarnation = f"{incarnation}." if incarnation else ""
        self._sessions = Sessions(section, surgeries, self._engines, cues, incarnation, taught, links)
        self._on_their_way = on_their_way
        self._clock = clock
        self._model: ModelState = "loading"
        self._model_error = ""
        self._open = OpenQuestions()
        self._requests = Requests(
            surgeries, self._engines, window_lines=taught.window_lines, links=links, most=section.max_requests
        )
        self._pace = Pace(section.min_interval_s, section.utilization, lockstep=lockstep)
        self._before = Relive(self._sessions, self._requests, self._pace, self._take, wall)
        self._crashes = Crashes()
        self._asked = 0  # numbers the questions of this process, requests too
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

    def restore(self, past: Past) -> Restored:
        """Take the inputs of before once more, with all that was asked and learned at its place.

        Parse is told what it may not have had, and the open questions are asked again. Inputs behind all that is known
        of questions may not have been handled: they are, as if they came now, and parse knows those that were.
        """
        before = self._before.relive(past, self._on_their_way)
        return Restored([*before.outcomes, *self._ask_again(before.unanswered)], self._unsure(before.unsure))

    def _unsure(self, inputs: Iterator[Message]) -> Iterator[Message]:
        yield from inputs
        self._counts.clear()  # of what was counted then
        self._sessions.count_anew()

    def _ask_again(self, jobs: Iterable[PromptJob]) -> list[PromptJob]:
        """What has no verdict: it may never have been sent. Inference and parse know a job that comes again."""
        again = []
        for job in jobs:
            asking = self._sessions.find(job.rules.session)
            if asking is not None and asking.job_id == job.job_id:
                job = msgspec.structs.replace(job, deadline_ns=self._deadline_ns(self._clock()))
                self._open.add(job, self._clock())
                again.append(job)
        return again

    def met(self, peer: StageName) -> list[Message]:
        """A new parse process hears of every session, so that it waits for no rules in vain."""
        if peer != "parse":
            return []
        return [self._tell_again(asking, self._clock()) for asking in self._sessions]

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

    def _take(self, message: Message) -> Iterable[Message]:
        return self._handlers[type(message)](message, self._clock())

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
        counts |= {f"dropped.{cause}": float(count) for cause, count in self._sessions.dropped.items()}
        return counts | {
            "sessions_open": float(len(self._sessions)),
            "questions_open": float(self._open.sessions),
            "requests_open": float(self._open.requests),
        }

    def close(self) -> None:
        """Nothing is held."""

    # --- inputs of a session ------------------------------------------------------------------------------

    def _start(self, message: SessionStart, now: int) -> list[Message]:
        asking, about_what_is_over = self._sessions.start(message, self._before.wall())
        sent = self._publish(asking, Change(), now)
        return [Cancel(job_id=about_what_is_over), *sent] if about_what_is_over else sent

    def _end(self, message: SessionEnd, now: int) -> list[Message]:
        asking = self._sessions.end(message)
        sent = self._publish(asking, Change(), now)
        if self._before.asks:  # else its last question is not known yet
            self._sessions.forget_if_over(asking)
        return sent

    def _transcript(self, message: Transcript, now: int) -> list[Message]:
        asking, change = self._sessions.hear(message)
        if change is None:
            self._counts["partials"] += 1
            return []
        return self._publish(asking, change, now)

    def _observation(self, message: Observation, now: int) -> list[Message]:
        return self._publish(*self._sessions.observe(message), now)

    def _override(self, message: Override, now: int) -> list[Message]:
        return self._publish(*self._sessions.override(message), now)

    def _publish(self, asking: Asking, change: Change, now: int) -> list[Message]:
        session, numbers = asking.session, asking.numbers
        session.number, session.place = numbers.of_input(), numbers.inputs
        rules = self._snapshot(session, change, now)
        if self._before.again:
            rules = msgspec.structs.replace(rules, again=True)
        return [rules, self._question(asking, rules)] if self._may_ask(asking) else [rules]

    def _snapshot(self, session: Session, change: Change, now: int) -> RuleOutcome:
        return session.snapshot(change, self._model, self._model_error, {"received": now})

    # --- questions ----------------------------------------------------------------------------------------

    def _may_ask(self, asking: Asking) -> bool:
        """Whether the session's next question is due and the model can be asked."""
        return self._model == "ready" and self._before.asks and asking.may_ask(self._pace.pause_s(asking.number))

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
            deadline_ns=self._deadline_ns(now),
            alone=asking.suspect,
            stamps={**rules.stamps, "asked": now},
        )
        self._pace.asked += 1
        asking.asked(job, self._pace.asked)
        self._open.add(job, now)
        self._counts["questions"] += 1
        return job

    def _deadline_ns(self, now: int) -> int | None:
        return None if self._lockstep else now + round(self._section.request_timeout_s * 1e9)

    def _verdict(self, verdict: Verdict, now: int) -> list[Message]:
        question = self._open.close(verdict.job_id)
        asking = self._sessions.find(verdict.session) if verdict.kind == "session" else None
        if question is None:
            self._counts["dropped.late_verdict"] += 1
            if asking is None or asking.knows(verdict.job_id):
                return []
            asking.learn(verdict)  # asked by a process that died before it had journalled that
            return [Learned(verdict=verdict, after=asking.numbers.inputs)]
        self._counts[f"verdicts.{verdict.outcome}"] += 1
        if verdict.kind == "request":
            if verdict.response is None:
                return []
            self._requests.answered(verdict.response)
            return [verdict.response]
        if asking is None:
            return []
        cost = self._cost_s(question, verdict, now)
        sent: list[Message] = [Learned(verdict=verdict, after=asking.numbers.inputs, cost_s=cost)]
        self._pace.learn(cost)
        asking.learn(verdict)
        if self._may_ask(asking):
            sent.append(self._question(asking, self._snapshot(asking.session, Change(), now)))
        self._sessions.forget_if_over(asking)
        return sent

    def _cost_s(self, question: Open, verdict: Verdict, now: int) -> float | None:
        """What the model took for it; None if it was not at work on it, or no time passes."""
        if self._lockstep or verdict.outcome in ("model_unavailable", "stage_crashed"):
            return None
        return cost_s(question.asked_ns, now, question.waiting)

    # --- explicit requests --------------------------------------------------------------------------------

    def _request(self, request: LLMRequest, now: int) -> list[Message]:
        if (before := self._requests.again(request.request_id)) is not None:
            self._counts["requests_repeated"] += 1
            return [*before]
        read = self._requests.read(
            request, self._open.requests, self._model, self._model_error, self._before.wall(), now
        )
        if isinstance(read, LLMResponse):
            self._counts[f"answer.{read.outcome}"] += 1
            return [read]
        prompt = self._prompts.build(read.surgery, read.transcript, read.moment)
        suspicion = self._crashes.of(prompt, now)
        self._asked += 1
        job = PromptJob(
            job_id=f"r/{self._incarnation}{self._asked}/{request.request_id}",
            kind="request",
            rules=read.rules,
            prompt=prompt,
            answer=self._answer,
            deadline_ns=now + request.deadline_ms * 1_000_000,
            alone=suspicion == "suspect",
            stamps={"received": now, "asked": self._clock()},
        )
        self._open.add(job, now)
        self._requests.opened(request.request_id)
        self._counts["requests"] += 1
        if suspicion == "guilty":
            return [*self._open.give_up(job.job_id, "stage_crashed", _GUILTY, now)]
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
        if message.state == "unavailable":  # it may never come back: what waits for it would wait for ever
            for job_id in self._open.waiting():
                sent += self._open.give_up(job_id, "model_unavailable", self._why_not(), now)
        live = [asking for asking in self._sessions if not asking.session.ending]
        return [*sent, *(self._tell_again(asking, now) for asking in live)]

    def _tell_again(self, asking: Asking, now: int) -> RuleOutcome:
        """What is known of a session, though no input of its own changed it."""
        session, numbers = asking.session, asking.numbers
        session.number, session.place = numbers.of_other(), numbers.inputs
        return self._snapshot(session, Change(), now)

    def _job_lost(self, message: JobLost, now: int) -> list[Message]:
        job = message.job
        self._counts["jobs_lost"] += 1
        if job.kind == "request":
            self._crashes.note(job.prompt, alone=job.alone, now_ns=now)
        elif asking := self._sessions.find(job.rules.session):
            asking.crashed(job)
        return [*self._open.give_up(job.job_id, "stage_crashed", message.error, now)]

    def _why_not(self) -> str:
        return self._model_error or f"the model is {self._model}"


def create(config: Config, incarnation: int = 0) -> PromptStage:
    """The stage as the configuration says. Raises ConfigError for bad surgeries, words or model name."""
    from models.manifest import find_manifest

    words = load_vocabulary(config.prompt)
    manifest = find_manifest(config.inference.model)
    return PromptStage(
        config.prompt,
        words.surgeries,
        manifest.prompt,
        config.inference.answer,
        taught=taught_by(manifest),
        language=words.language,
        lockstep=config.run.lockstep,
        incarnation=incarnation,
        on_their_way=config.queues.slots + ON_THEIR_WAY,
    )
