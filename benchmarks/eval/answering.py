"""Who is evaluated: the rules, the model alone, or both as published. Runs in the command's process.

Each is the same pipeline in another configuration. Alone is the model when the rules read nothing and what it would
switch is switched; of an utterance counts what it said itself, also if the machine was so already.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.eval.judging import Came
from benchmarks.eval.room import Course
from pipeline.config import Config, load_config
from pipeline.messages import SurgeryState
from stages.parse.judge import judge
from stages.surgery import Surgery

By = Literal["rule", "llm", "fused"]
LOCKSTEP = ("run.lockstep=true", "inference.strict=false")
ALONE = ("prompt.rules=false", "parse.apply_model_toggles=true")


def configured(by: By, config: Path | None, settings: Iterable[str]) -> Config:
    """The configuration in which those answer. Raises ConfigError."""
    return load_config(config, (*settings, *LOCKSTEP, *(ALONE if by == "llm" else ())))


def came_of(course: Course, seq: int, surgery: Surgery, by: By) -> Came:
    """What came of the input of that number, the last one of its session but for the end."""
    if by == "llm":
        return _model(course, seq, surgery)
    states = [state for state in course.states if state.based_on == seq]
    return _published(states) if states else Came(note="; ".join(course.refused))


def _published(states: Sequence[SurgeryState]) -> Came:
    """The newest of them: a state with the model's answer comes after that of the rules, and holds its toggles too."""
    state = states[-1].state
    details = state["details"]
    return Came(
        toggles=tuple(details["toggles"]),
        phase=state["metadata"]["phase"],
        deferred=frozenset(entry["machine_id"] for entry in details.get("deferred", ())),
        unknown=tuple(details.get("unknown", ())),
    )


def _model(course: Course, seq: int, surgery: Surgery) -> Came:
    completion = next((answer for answer in course.answers if answer.rules.seq == seq), None)
    if completion is None:
        return Came(whole=False, note="; ".join(course.refused) or "the model was not asked")
    judged = judge(completion, surgery)
    if judged.answer is None:
        return Came(whole=False, note=f"{judged.outcome}: {judged.reason}")
    toggles = tuple(msgspec.to_builtins(toggle) for toggle in judged.answer.toggles)
    return Came(toggles=toggles, phase=judged.answer.phase, whole=False)
