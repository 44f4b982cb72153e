"""Lessons put to a model by the engine, as a run puts its questions. Training only; needs no PyTorch."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from models.fetch import ensure
from models.manifest import Manifest
from models.training.lesson import Lesson
from pipeline.config import InferenceSection
from pipeline.errors import OrstateError
from pipeline.messages import PromptJob, RuleOutcome
from stages.inference.llama import LlamaBackend
from stages.prompt.prompts import Prompts
from stages.surgery import Surgery

_LIMIT_S = 160.0


def ask_engine(manifest: Manifest, lessons: Sequence[Lesson]) -> list[dict[str, Any]]:
    """The model's answers in the small form, greedy, in the order of the lessons. Raises OrstateError."""
    settings = InferenceSection(model=manifest.name, temperature=0.0, prefix_cache="")
    names: dict[Surgery, str] = {}  # two invented surgeries may have one name: here each has its own
    for lesson in lessons:
        names.setdefault(lesson.surgery, f"{len(names)}")
    surgeries = {name: surgery for surgery, name in names.items()}
    answers: dict[str, dict[str, Any]] = {}
    with closing(LlamaBackend(ensure(manifest), manifest, settings, surgeries, _LIMIT_S)) as backend:
        waiting = [_job(str(at), lesson, names[lesson.surgery], manifest) for at, lesson in enumerate(lessons)]
        waiting.sort(key=lambda job: job.prompt.shared, reverse=True)  # a dictionary is computed once
        while waiting or backend.active:
            while waiting and backend.active < settings.batch:
                backend.admit(waiting.pop())
            for answer in backend.step():
                if answer.outcome != "ok" or answer.truncated:
                    raise OrstateError(f"lesson {answer.job_id} was not answered: {answer.error or answer.outcome}")
                answers[answer.job_id] = json.loads(answer.text)
    return [answers[str(at)] for at in range(len(lessons))]


def _job(name: str, lesson: Lesson, surgery: str, manifest: Manifest) -> PromptJob:
    moment = lesson.moment
    rules = RuleOutcome(
        session=f"lesson {name}",
        epoch=1,
        number=1,
        seq=1,
        t=moment.t,
        surgery=surgery,
        started_at=0.0,
        machines=dict(moment.machines),
        set_by={},
        phase=moment.phase,
        next_phase=lesson.surgery.phase_after(moment.phase),
        model="ready",
    )
    prompts = Prompts(manifest.prompt, "small", manifest.examples)  # of its own: it keeps what it shares by name
    prompt = prompts.build(lesson.surgery, lesson.transcript(manifest.hints), moment)
    return PromptJob(job_id=name, kind="request", rules=rules, prompt=prompt, answer="small")
