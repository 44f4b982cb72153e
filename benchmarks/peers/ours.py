"""Our engine, driven through the Backend protocol as the inference stage drives it. Runs in a child process."""

import os
import time
from collections import deque
from collections.abc import Sequence

from benchmarks.bounds import Bounds, fix, fixed
from benchmarks.memory import memory_mb
from benchmarks.served import Run, Served, in_turn
from benchmarks.workload import Question
from models.manifest import Manifest
from pipeline.config import load_config, resolve
from stages.inference.backend import Answer
from stages.inference.stage import open_llama
from stages.surgery import load_surgeries


class Ours:
    """A `served.Peer`."""

    def __init__(self, manifest: Manifest, settings: Sequence[str], bounds: Bounds | None = None) -> None:
        """Loads the model. Raises OrstateError if it cannot be."""
        config = load_config(None, settings)
        surgeries = load_surgeries(resolve(config.prompt.machines))
        if bounds is not None:
            fix(bounds)
            surgeries = {name: fixed(surgery, bounds) for name, surgery in surgeries.items()}
        self._backend = open_llama(config, manifest, surgeries)

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        waiting = [deque(own) for own in sessions] if together else [deque(in_turn(sessions))]
        begin = time.perf_counter()
        asked: dict[str, tuple[Question, float, deque[Question]]] = {}
        served: list[Served] = []

        def ask(queue: deque[Question]) -> None:
            if queue:
                question = queue.popleft()
                asked[question.job.job_id] = (question, time.perf_counter(), queue)
                self._backend.admit(question.job)

        for queue in waiting:
            ask(queue)
        while self._backend.active:
            for answer in self._backend.step():
                question, since, queue = asked.pop(answer.job_id)
                served.append(_served(question, answer, time.perf_counter() - since))
                ask(queue)
        return Run(served, time.perf_counter() - begin)

    def warm(self, question: Question) -> None:
        """Compute, and keep on disk if the settings say so, what all questions about its surgery begin with."""
        self._backend.warm(question.job.prompt)

    def memory(self) -> dict[str, float]:
        return memory_mb(os.getpid())

    def counters(self) -> dict[str, float]:
        return self._backend.counters()

    def close(self) -> None:
        self._backend.close()


def _served(question: Question, answer: Answer, seconds: float) -> Served:
    error = "" if answer.outcome == "ok" else f"{answer.outcome}: {answer.error}"
    return Served(
        session=question.session,
        number=question.number,
        surgery=question.surgery,
        text=answer.text,
        seconds=seconds,
        prompt_tokens=answer.prompt_tokens,
        reused_tokens=answer.reused_tokens,
        error=error,
    )
