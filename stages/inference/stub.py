"""A backend without a model: it answers from what the rules know, always the same. Used by the inference process.

For tests, for trying the pipeline without weights, and for measuring the pipeline itself.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from pipeline.messages import PromptJob, RuleOutcome
from stages.inference.backend import Answer

_encode = msgspec.json.Encoder().encode


class StubBackend:
    """Answers all admitted jobs in one step."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._jobs: list[PromptJob] = []

    @property
    def active(self) -> int:
        return len(self._jobs)

    @property
    def at_work(self) -> tuple[str, ...]:
        return tuple(job.job_id for job in self._jobs)

    def admit(self, job: PromptJob) -> None:
        self._jobs.append(job)

    def cancel(self, job_id: str) -> None:
        """Nothing: the next step answers all."""

    def fault(self) -> str:
        return ""

    def counters(self) -> dict[str, float]:
        return {}

    def step(self) -> list[Answer]:
        jobs, self._jobs = self._jobs, []
        now = self._clock()
        return [
            Answer(job_id=job.job_id, outcome="ok", started_ns=now, text=_text(job.rules, job.answer)) for job in jobs
        ]

    def abandon(self) -> None:
        self._jobs.clear()

    def close(self) -> None:
        self._jobs.clear()


def _text(rules: RuleOutcome, form: str) -> str:
    following = rules.next_phase or rules.phase  # the last phase is followed by none, and an answer must name one
    tips = [f"Consider preparing for {following}."]
    answer: dict[str, Any]
    if form == "small":
        answer = {
            "on": [],
            "off": [],
            "phase": rules.phase,
            "next": following,
            "why": "stub",
            "tips": tips,
        }
    else:
        answer = {
            "metadata": {"phase": rules.phase, "next_phase": following, "reasoning": "stub"},
            "machines": {
                "0": [machine for machine, action in rules.machines.items() if action != "ON"],
                "1": [machine for machine, action in rules.machines.items() if action == "ON"],
            },
            "details": {"toggles": []},
            "suggestions": tips,
            "confidence": 0.5,
            "source": "model",
        }
    return _encode(answer).decode()
