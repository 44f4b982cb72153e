"""Decides what becomes of a model's text: an answer, or the outcome that says why it is none. Parse process."""

import msgspec

from pipeline.messages import Completion, Outcome
from stages.parse.extract import Unparsable, extract
from stages.parse.normalise import ModelAnswer, NotAnAnswer, as_sure_as, normalise
from stages.parse.safety import find_violations, not_advisory
from stages.surgery import Surgery

_WITHOUT_TEXT = {
    "timeout": "the model gave no answer before the deadline",
    "model_unavailable": "the model could not be asked",
    "stage_crashed": "the inference process died with this question",
    "expired": "the question no longer stood when its turn came",
}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a completion comes to. `answer` is there only if `outcome` is "ok", `reason` only if it is not."""

    outcome: Outcome
    reason: str = ""
    answer: ModelAnswer | None = None
    strategy: str = ""  # how the object was found, if one was
    dropped: int = 0
    warnings: int = 0
    violations: tuple[str, ...] = ()


def judge(completion: Completion, surgery: Surgery) -> Judgement:
    """The judgement on a completion about `surgery`, whatever its text is; raises nothing for a bad one."""
    if completion.outcome != "ok":
        return Judgement(outcome=completion.outcome, reason=completion.error or _WITHOUT_TEXT[completion.outcome])
    try:
        extracted = extract(completion.text)
    except Unparsable as error:
        if completion.truncated:
            reason = f"the answer reached the limit of {completion.answer_tokens} tokens before it was whole"
            return Judgement(outcome="truncated", reason=reason)
        return Judgement(outcome="parse_failed", reason=str(error))
    try:
        answer = normalise(extracted.found, surgery, completion.rules.machines)
    except NotAnAnswer as error:
        return Judgement(outcome="schema_failed", reason=str(error), strategy=extracted.strategy)
    # All that was written, for what was filtered tells too whether an answer is to be trusted; then what would be
    # published, for a text that was cut to its bound reads otherwise than the whole.
    published = {
        "phase": answer.phase,
        "next_phase": answer.next_phase,
        "reasoning": answer.reasoning,
        "suggestions": answer.suggestions,
    }
    found = find_violations(extracted.found) or find_violations(published)
    if completion.certainty is not None:
        answer = as_sure_as(answer, completion.certainty)
    violations = tuple(str(violation) for violation in found)
    if violations:
        return Judgement(
            outcome="unsafe",
            reason=f"the answer reads as control or as an order: {', '.join(violations[:3])}",
            strategy=extracted.strategy,
            dropped=len(answer.dropped),
            violations=violations,
        )
    return Judgement(
        outcome="ok",
        answer=answer,
        strategy=extracted.strategy,
        dropped=len(answer.dropped),
        warnings=len(not_advisory(answer.suggestions)),
    )
