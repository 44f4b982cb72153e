"""Makes the contract's state from what the rules know and what the model answered. Runs in the parse process.

Rules lead on machines. The model adds phase, next phase, reasoning and suggestions; a machine that only it would
switch is shown, and switched where it is reliable enough (fusion.py). What a person, a rule or a camera said after the
question was asked stands against the answer.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pipeline.messages import Action, Deferred, Outcome, RuleOutcome, Toggle
from stages.parse.fusion import Fusion
from stages.parse.normalise import ModelAnswer
from stages.parse.texts import clean, clip, distinct
from stages.phases import with_vote
from stages.surgery import Surgery

# The schema's own bounds: what the rules pass on of a long utterance must not make a state invalid.
MAX_TEXTS: Final = 256
TEXT_CHARACTERS: Final = 500
REASONING_CHARACTERS: Final = 2000
MODEL_CHARACTERS: Final = 200
MAX_SUGGESTIONS: Final = 32


class Fused(msgspec.Struct, frozen=True):
    """A state with the model's part in it, and the model's toggles that were applied."""

    state: dict[str, Any]
    applied: tuple[Toggle, ...]


def rule_state(
    surgery: Surgery,
    rules: RuleOutcome,
    *,
    outcome: Outcome = "ok",
    reason: str = "",
    model: str = "",
    violations: tuple[str, ...] = (),
    processing_time_ms: float = 0.0,
) -> dict[str, Any]:
    """What the rules know, as a state. With an `outcome` other than "ok" it is degraded and says the `reason`."""
    degraded = outcome != "ok"
    metadata: dict[str, Any] = {
        "timestamp": _timestamp(rules.started_at + rules.t),
        "surgery": rules.surgery,
        "phase": rules.phase,
        "next_phase": rules.next_phase,
        "processing_time_ms": processing_time_ms,
        "matched_keywords": _bounded(rules.matched_keywords),
        "temporal": rules.temporal,
        "reasoning": _reasoning(rules, outcome, reason) if degraded else clip(rules.reasoning, REASONING_CHARACTERS),
        "buffer_entries": rules.buffer_entries,
        "buffer_duration_s": rules.buffer_duration_s,
        "session_elapsed_s": rules.t,
        "model": clip(model, MODEL_CHARACTERS),
        "based_on_seq": rules.seq,
        "age_s": 0.0,
        "outcome": outcome,
        "degraded": degraded,
        "overrides_applied": rules.overrides_applied,
    }
    if violations:
        metadata["safety_violations"] = _bounded(violations)
    return {
        "metadata": metadata,
        "machines": _lists(surgery, rules.machines),
        "details": {
            "toggles": _entries(rules.toggles),
            "negations": _bounded(rules.negations),
            "debounced": _bounded(rules.debounced),
            "model_toggles": [],
            "set_by": dict(rules.set_by),
            "set_at": dict(rules.set_at),
            "standby": _on_standby(rules.machines),
            "held": list(rules.held),
            "deferred": [_deferred(one) for one in rules.deferred],
            "unknown": _bounded(rules.unknown),
        },
        "suggestions": _bounded(rules.suggestions[:MAX_SUGGESTIONS]),
        "confidence": rules.confidence,
        "source": "rule",
    }


def fused_state(
    surgery: Surgery,
    rules: RuleOutcome,
    asked: RuleOutcome,
    answer: ModelAnswer,
    *,
    model: str,
    label: str,
    fusion: Fusion,
    processing_time_ms: float = 0.0,
) -> Fused:
    """What the rules know now and what the model answered to `asked`, what they knew when it was asked."""
    state = rule_state(surgery, rules, model=model, processing_time_ms=processing_time_ms)
    applied, shown, again = fusion.weigh(surgery, rules, asked, answer)
    phase = rules.phase
    if rules.phase == asked.phase and rules.phase_belief:
        phase = with_vote(phase, rules.phase_belief, fusion.evidence(answer))
    elif rules.phase == asked.phase:  # a client asked, and nothing is known of what came before
        phase = answer.phase or phase
    metadata, details = state["metadata"], state["details"]
    metadata["phase"] = phase
    metadata["next_phase"] = _next_phase(surgery, rules, answer, phase)
    metadata["reasoning"] = _with_reasons(answer.reasoning or metadata["reasoning"], applied)
    metadata["based_on_seq"] = asked.seq
    metadata["age_s"] = max(0.0, rules.t - asked.t)
    details["model_toggles"] = _entries(shown)
    details["toggles"] = _entries((*rules.toggles, *applied, *again))
    if applied:
        actions = {toggle.machine_id: toggle.action for toggle in applied}
        details["set_by"] = rules.set_by | dict.fromkeys(actions, "model")
        state["machines"] = _lists(surgery, rules.machines | actions)
        details["standby"] = _on_standby(rules.machines | actions)
    state["suggestions"] = distinct((*state["suggestions"], *answer.suggestions))[:MAX_SUGGESTIONS]
    state["confidence"] = max(rules.confidence, answer.confidence)
    state["source"] = f"rule+{label}"
    return Fused(state, applied)


def _next_phase(surgery: Surgery, rules: RuleOutcome, answer: ModelAnswer, phase: str) -> str:
    """The model's, if its phase is taken too; else the one that follows the phase which is published."""
    if phase == answer.phase and answer.next_phase:
        return answer.next_phase
    return rules.next_phase if phase == rules.phase else surgery.phase_after(phase)


def _lists(surgery: Surgery, machines: Mapping[str, Action]) -> dict[str, list[str]]:
    """The contract's lists in the dictionary's order. A machine that is missing stands in none: the check says so."""
    off, on = [], []
    for machine in surgery.machines:
        action = machines.get(machine.id)
        if action == "ON":
            on.append(machine.id)
        elif action is not None:
            off.append(machine.id)
    return {"0": off, "1": on}


def _on_standby(machines: Mapping[str, Action]) -> list[str]:
    """Of those that the contract's list "0" has, the ones that are not simply off."""
    return sorted(machine for machine, action in machines.items() if action == "STANDBY")


def _entries(toggles: Iterable[Toggle]) -> list[dict[str, Any]]:
    return [_clipped(msgspec.to_builtins(toggle), "trigger", "words") for toggle in toggles][:MAX_TEXTS]


def _deferred(deferred: Deferred) -> dict[str, Any]:
    return _clipped(msgspec.to_builtins(deferred), "trigger", "waits_for")


def _clipped(entry: dict[str, Any], *texts: str) -> dict[str, Any]:
    for key in texts:
        if len(entry.get(key, "")) > TEXT_CHARACTERS:
            entry[key] = clip(entry[key], TEXT_CHARACTERS)
    return entry


def _bounded(texts: tuple[str, ...]) -> list[str]:
    return [clip(text, TEXT_CHARACTERS) for text in texts[:MAX_TEXTS]]


def _reasoning(rules: RuleOutcome, outcome: Outcome, reason: str) -> str:
    why = f"{outcome}: {clean(reason, TEXT_CHARACTERS)}" if reason else outcome
    return clip(f"{why}. Rules: {rules.reasoning}" if rules.reasoning else why, REASONING_CHARACTERS)


def _with_reasons(reasoning: str, applied: Iterable[Toggle]) -> str:
    """The reasoning, and of what was taken from the model, why."""
    taken = [
        f"{toggle.name} {toggle.action} by the model, right at least {toggle.reliability:.2f} of the times"
        for toggle in applied
        if toggle.reliability
    ]
    return clip("; ".join([reasoning, *taken]), REASONING_CHARACTERS) if taken else reasoning


def _timestamp(unix_time: float) -> str:
    moment = datetime.fromtimestamp(unix_time, UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
