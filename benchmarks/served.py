"""What an engine made of the questions it was asked, and the figures of that. No process, socket or model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean, median
from typing import Any, Protocol

import jsonschema_rs
import msgspec
import numpy as np

from benchmarks.workload import Question

Schemas = Mapping[str, Mapping[str, Any]]  # the JSON Schema of an answer, by surgery


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answer. `seconds`: from handing the question over to having the answer.

    `prompt_tokens` and `reused_tokens` are None where the engine does not tell.
    """

    session: int
    number: int
    surgery: str
    text: str
    seconds: float
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The answers of one round, and how long (seconds) it took from the first question to the last answer."""

    served: list[Served]
    seconds: float

    @property
    def requests_per_s(self) -> float:
        return len(self.served) / self.seconds


class Peer(Protocol):
    """An engine that is compared. `serve` keeps the order of each session's questions."""

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        """Ask all questions: one of each session at a time, or only one in all, the sessions in turn."""

    def memory(self) -> dict[str, float]:
        """Of its process, in MB: `peak` (VmHWM, shared pages too) and `own` (USS, as it is now)."""

    def counters(self) -> dict[str, float]:
        """Totals that the engine keeps; none if it keeps none."""

    def close(self) -> None:
        """End its process."""


def in_turn(sessions: Sequence[Sequence[Question]]) -> list[Question]:
    """All questions in the order of a single asker: the first of each session, then the second of each ..."""
    return [q for turn in zip_longest(*sessions) for q in turn if q is not None]


def valid(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether an answer is JSON and keeps the schema."""
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return bool(jsonschema_rs.is_valid(dict(schema), answer))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of 100 lie, interpolated between neighbours."""
    return float(np.percentile(values, percent))


def figures(runs: Sequence[Run], schemas: Schemas, tokens: Mapping[str, int]) -> dict[str, Any]:
    """What is reported of an engine. `tokens`: how many each answer's text has, in the model's vocabulary."""
    served = [one for run in runs for one in run.served]
    seconds = [one.seconds for one in served]
    counts = [tokens[one.text] for one in served]
    rates = [sum(tokens[one.text] for one in run.served) / run.seconds for run in runs]
    errors = sorted({one.error for one in served if one.error})
    return {
        "requests": len(served),
        "requests_per_s": median(run.requests_per_s for run in runs),
        "requests_per_s_rounds": [run.requests_per_s for run in runs],
        "answer_tokens_per_s": median(rates),
        "latency_s": {f"p{percent}": percentile(seconds, percent) for percent in (50, 90, 99)},
        "valid": fmean(not one.error and valid(one.text, schemas[one.surgery]) for one in served),
        "answer_tokens_mean": fmean(counts),
        "prompt_tokens_mean": _mean([one.prompt_tokens for one in served]),
        "reused_tokens_mean": _mean([one.reused_tokens for one in served]),
        **({"errors": errors} if errors else {}),
    }


def faster(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """How many times as many requests a second: the median over the rounds, each of which hit the same moments."""
    return median(a.requests_per_s / b.requests_per_s for a, b in zip(ours, theirs, strict=True))


def overhead(before: Mapping[str, float], after: Mapping[str, float]) -> float | None:
    """The engine's own time beside llama_decode, as a share of the latter; None if the counters do not tell."""
    if "decode_ms" not in after or "step_ms" not in after:
        return None
    decode, step = (after[key] - before.get(key, 0.0) for key in ("decode_ms", "step_ms"))
    return (step - decode) / decode if decode > 0 else None


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
