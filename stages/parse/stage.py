"""The parse stage: rule outcomes and model answers go in, valid states, responses and verdicts come out.

Runs in the parse process. A rule outcome is published at once; a completion is judged, merged with the newest the
rules know of its session, and told to the prompt process as a verdict. Nothing is published unchecked.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from models.trust import Trust, load_trust
from pipeline.config import Config, ParseSection, resolve
from pipeline.control import StageName
from pipeline.errors import Rejected
from pipeline.messages import (
    OUTCOMES,
    Completion,
    LLMResponse,
    Message,
    Outcome,
    RuleOutcome,
    SurgeryState,
    Toggle,
    Verdict,
)
from pipeline.restore import Past, Restored
from stages.parse.contract import Contract, ContractError, load_schema
from stages.parse.extract import STRATEGIES
from stages.parse.fusion import Fusion
from stages.parse.judge import Judgement, judge
from stages.parse.memory import Jobs, Session, Sessions
from stages.parse.merge import fused_state, rule_state
from stages.parse.timings import elapsed
from stages.surgery import Surgery, load_surgeries

_OF_MODEL: Final[Mapping[str, tuple[Outcome, str]]] = {
    "ready": ("ok", ""),
    "loading": ("model_unavailable", "the model is still loading"),
    "unavailable": ("model_unavailable", "the model cannot be used"),
    "down": ("stage_crashed", "the inference process is down"),
}
_COUNTED: Final = (
    "states",
    "responses",
    "dropped.late_completion",
    "dropped.repeated_outcome",
    "dropped.answer_part",
    "safety_violations",
    "advisory_warnings",
    "schema_failures",
    *(f"outcome.{outcome}" for outcome in OUTCOMES),
    *(f"answer.{outcome}" for outcome in OUTCOMES),
    *(f"strategy.{strategy}" for strategy in STRATEGIES),
)


class _Result(msgspec.Struct, frozen=True):
    """A checked state, and how the question it comes from ended."""

    state: dict[str, Any]
    judgement: Judgement
    applied: tuple[Toggle, ...] = ()


class ParseStage:
    """The work of the parse process; see pipeline.stage.Stage. `clock` gives monotonic nanoseconds."""

    accepting = True
    idle = True
    at_work: tuple[str, ...] = ()

    def __init__(
        self,
        surgeries: Mapping[str, Surgery],
        schema: Mapping[str, Any],
        section: ParseSection,
        clock: Callable[[], int] = time.monotonic_ns,
        trust: Trust | None = None,
        told: bool = True,
    ) -> None:
        self._surgeries = surgeries
        self._contract = Contract(surgeries, schema)
        self._section = section
        self._fusion = Fusion(section, trust, told)
        self._clock = clock
        self._sessions = Sessions()
        self._jobs = Jobs()
        self._counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._last_state_s = 0.0
        self._last_answer_s = 0.0

    def load(self) -> None:
        """Nothing takes long."""

    def restore(self, past: Past) -> Restored:
        """Go on with each session's states from where a process before this one was.

        What it answered comes again if its slot was not given back, and may be about what is long past by now.
        """
        for _, message in past.read(SurgeryState, Verdict):
            if isinstance(message, SurgeryState):
                self._sessions.go_on(message.session, message.seq, message.place)
            elif isinstance(message, Verdict):
                self._jobs.remember(message)
        return Restored()

    def met(self, peer: StageName) -> Iterable[Message]:
        """Nothing: verdicts wait in their queue."""
        return ()

    def handle(self, message: Message) -> Iterable[Message]:
        """A state for a rule outcome; a verdict, and a session's state, for a completion; for one that comes again
        nothing, or the verdict that a process before this one may not have sent.

        Raises Rejected for another message or an unknown surgery, and ContractError if even what the rules know
        is no valid state.
        """
        if isinstance(message, RuleOutcome):
            return self._rules(message)
        if isinstance(message, Completion):
            surgery = self._surgery(message.rules)
            if self._jobs.ended(message.job_id):
                self._counts["dropped.late_completion"] += 1
                verdict = self._jobs.verdict(message.job_id)
                return [] if verdict is None else [verdict]
            return [self._request(message, surgery)] if message.kind == "request" else self._session(message, surgery)
        raise Rejected("unexpected_message", f"parse takes RuleOutcome and Completion, not {type(message).__name__}")

    def step(self) -> Iterable[Message]:
        """Nothing: all work is done in `handle`."""
        return ()

    def wait_s(self) -> float | None:
        """None: there is never work left."""
        return None

    def counters(self) -> dict[str, float]:
        """States and responses by outcome, strategies used, and what was dropped, banned, late or not valid.

        `last_state_now`, `last_answer_now`: when (monotonic seconds) a state was published and the model answered.
        """
        return {name: float(count) for name, count in self._counts.items()} | {
            "dropped.early_answer": float(self._sessions.forgotten),
            "last_state_now": self._last_state_s,
            "last_answer_now": self._last_answer_s,
        }

    def close(self) -> None:
        """There is nothing to give back."""

    # --- the three kinds of question -----------------------------------------------------------------------

    def _rules(self, rules: RuleOutcome) -> list[Message]:
        surgery = self._surgery(rules)
        session, news = self._sessions.update(rules)
        self._counts["dropped.repeated_outcome"] += not news
        sent: list[Message] = [self._known(session, rules, surgery)] if news else []
        for completion in session.overtaken():
            sent += self._session(completion, self._surgery(completion.rules))
        return sent

    def _known(self, session: Session, rules: RuleOutcome, surgery: Surgery) -> SurgeryState:
        outcome, reason = _OF_MODEL[rules.model]
        timings = elapsed(rules.stamps, self._clock())
        state = rule_state(
            surgery,
            rules,
            outcome=outcome,
            reason=rules.model_error or reason,
            processing_time_ms=timings.get("total", 0.0),
        )
        self._contract.check(state, surgery.surgery)
        session.published += 1
        self._count_state(outcome)
        return _published(rules, session.published, outcome, state, timings)

    def _session(self, completion: Completion, surgery: Surgery) -> list[Message]:
        session = self._sessions.find(completion.rules.session)
        if session is not None and session.awaits(completion.rules):
            session.early.append(completion)  # its rules come by another way, and their state is published first
            return []
        if session is None:
            self._sessions.keep_early(completion)
            return []
        newest = session.newest
        judgement = self._stale(completion, newest) or judge(completion, surgery)
        # The session may have begun anew with another surgery; its state is then of that one.
        result, timings = self._result(completion, self._surgery(newest), newest, judgement)
        outcome = result.judgement.outcome
        session.published += 1
        self._count_state(outcome)
        return [
            _published(newest, session.published, outcome, result.state, timings),
            self._verdict(completion, result),
        ]

    def _request(self, completion: Completion, surgery: Surgery) -> Verdict:
        result, timings = self._result(completion, surgery, completion.rules, judge(completion, surgery))
        outcome, ok = result.judgement.outcome, result.judgement.outcome == "ok"
        self._counts["responses"] += 1
        self._counts[f"answer.{outcome}"] += 1
        response = LLMResponse(
            request_id=completion.job_id.rpartition("/")[2],
            outcome=outcome,
            success=ok,
            degraded=not ok,
            output=result.state,
            error=result.judgement.reason,
            model_name=completion.model,
            processing_time_ms=timings.get("total", 0.0),
            timings=timings,
        )
        return self._verdict(completion, result, response)

    # --- what they share -----------------------------------------------------------------------------------

    def _surgery(self, rules: RuleOutcome) -> Surgery:
        surgery = self._surgeries.get(rules.surgery)
        if surgery is None:
            known = ", ".join(self._surgeries)
            raise Rejected(
                "unknown_surgery", f"session {rules.session!r}: no surgery {rules.surgery!r}; known: {known}"
            )
        return surgery

    def _stale(self, completion: Completion, newest: RuleOutcome) -> Judgement | None:
        """Why the answer to a question that was answered no longer stands; None if it does."""
        if completion.outcome != "ok":
            return None
        asked = completion.rules
        # Not "<": a prompt process that was started again counts its epochs from 0.
        if (asked.epoch, asked.surgery) != (newest.epoch, newest.surgery):
            return Judgement(outcome="expired", reason="the session has begun anew since the question was asked")
        age = newest.t - asked.t
        if age > self._section.expire_s:
            reason = f"the question is {age:.1f} s old, more than parse.expire_s={self._section.expire_s:g}"
            return Judgement(outcome="expired", reason=reason)
        return None

    def _result(
        self, completion: Completion, surgery: Surgery, newest: RuleOutcome, judgement: Judgement
    ) -> tuple[_Result, dict[str, float]]:
        """The checked state of a completion. An answer that makes no valid state is given up for the rules' own."""
        self._counts["dropped.answer_part"] += judgement.dropped
        self._counts["safety_violations"] += len(judgement.violations)
        self._counts["advisory_warnings"] += judgement.warnings
        if judgement.strategy:
            self._counts[f"strategy.{judgement.strategy}"] += 1
        timings = elapsed(completion.stamps, self._clock())
        if completion.outcome == "ok":
            self._last_answer_s = self._clock() / 1e9
        total = timings.get("total", 0.0)
        if judgement.answer is not None:
            fused = fused_state(
                surgery,
                newest,
                completion.rules,
                judgement.answer,
                model=completion.model,
                label=completion.label,
                fusion=self._fusion,
                processing_time_ms=total,
            )
            try:
                self._contract.check(fused.state, surgery.surgery)
                return _Result(fused.state, judgement, fused.applied), timings
            except ContractError as error:
                self._counts["schema_failures"] += 1
                judgement = Judgement(outcome="schema_failed", reason=f"the merged state is not valid: {error}")
        state = rule_state(
            surgery,
            newest,
            outcome=judgement.outcome,
            reason=judgement.reason,
            model=completion.model,
            violations=judgement.violations,
            processing_time_ms=total,
        )
        self._contract.check(state, surgery.surgery)
        return _Result(state, judgement), timings

    def _verdict(self, completion: Completion, result: _Result, response: LLMResponse | None = None) -> Verdict:
        answer = result.judgement.answer
        return Verdict(
            job_id=completion.job_id,
            kind=completion.kind,
            session=completion.rules.session,
            epoch=completion.rules.epoch,
            outcome=result.judgement.outcome,
            t=completion.rules.t,
            phase=answer.phase if answer is not None else "",
            evidence=self._fusion.evidence(answer) if answer is not None else {},
            toggles=result.applied,
            response=response,
        )

    def _count_state(self, outcome: Outcome) -> None:
        self._counts["states"] += 1
        self._counts[f"outcome.{outcome}"] += 1
        self._last_state_s = self._clock() / 1e9


def create(config: Config, incarnation: int = 0, trust: Trust | None = None) -> ParseStage:
    """The stage as configured; every incarnation is alike. `trust`: in place of what was measured of the model.

    Raises ConfigError for surgeries, a schema or what was measured of the model that cannot be read.
    """
    from models.manifest import find_manifest

    surgeries = load_surgeries(resolve(config.prompt.machines))
    model = find_manifest(config.inference.model)
    if trust is None and config.prompt.rules:
        trust = load_trust(model.name, model.sha256)
    told = config.prompt.rules or model.own_phase
    return ParseStage(surgeries, load_schema(), config.parse, trust=trust, told=told)


def _published(
    rules: RuleOutcome, seq: int, outcome: Outcome, state: dict[str, Any], timings: dict[str, float]
) -> SurgeryState:
    return SurgeryState(
        session=rules.session,
        seq=seq,
        t=rules.t,
        based_on=rules.seq,
        place=rules.place,
        outcome=outcome,
        degraded=outcome != "ok",
        state=state,
        received_ns=rules.stamps.get("received", 0),
        timings=timings,
    )
