"""The work of the inference process: takes questions, runs them on the model in cycles, tells what became of each."""

import resource
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from models.fetch import ensure
from models.manifest import STUB, Manifest, find_manifest
from models.store import verify_file
from pipeline.config import Config, InferenceSection, resolve
from pipeline.control import StageName
from pipeline.errors import OrstateError
from pipeline.messages import Cancel, Completion, Message, ModelChanged, ModelState, PromptJob
from pipeline.restore import Past, Restored
from pipeline.stage import LOADING
from stages.inference.backend import Answer, Backend
from stages.inference.cycle import Cycle
from stages.inference.stub import StubBackend
from stages.surgery import Surgery, load_surgeries

if TYPE_CHECKING:
    from stages.inference.llama import LlamaBackend

OWN_LIMIT = 0.9  # of the longest step that the supervisor bears: a slow answer is given up before the process is


def create(config: Config, incarnation: int = 0) -> "InferenceStage":
    """The stage of that configuration, its model not yet loaded; every incarnation is alike. Raises ConfigError."""
    manifest = find_manifest(config.inference.model)
    surgeries = load_surgeries(resolve(config.prompt.machines))

    def open_backend() -> Backend:
        if manifest.name == STUB:
            return StubBackend()
        return open_llama(config, manifest, surgeries)

    return InferenceStage(config.inference, manifest, open_backend)


def open_llama(
    config: Config,
    manifest: Manifest,
    surgeries: Mapping[str, Surgery],
    clock: Callable[[], int] = time.monotonic_ns,
) -> "LlamaBackend":
    """The model of that manifest, loaded. Raises OrstateError, which says why it cannot be."""
    path = ensure(manifest)
    notes = resolve(config.inference.prefix_cache) if config.inference.prefix_cache else None
    verify_file(path, manifest, notes=notes)
    try:
        from stages.inference.llama import LlamaBackend  # here, so that only a process with a model pays for it
    except ImportError as error:
        raise OrstateError(f"llama-cpp-python cannot be imported: {error}; install the project again") from error
    limit_s = OWN_LIMIT * config.supervision.inference_busy_s
    return LlamaBackend(path, manifest, config.inference, surgeries, limit_s, clock)


@dataclass(slots=True)
class Counts:
    """What was counted since the start."""

    failures: int = 0
    timeouts: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    answer_tokens: int = 0
    inference_ns: int = 0


class InferenceStage:
    """A `pipeline.stage.Stage`. Every job that it takes is answered by exactly one Completion."""

    def __init__(
        self,
        settings: InferenceSection,
        manifest: Manifest,
        open_backend: Callable[[], Backend],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`open_backend` loads the model; what it raises is why there is none."""
        self.model_name = manifest.name
        self.label = manifest.label
        self.model_state: ModelState = "loading"
        self.model_error = "the model is still loading"
        self._settings = settings
        self._open_backend = open_backend
        self._clock = clock
        self._cycle = Cycle(settings.batch, settings.window_ms, settings.strict, clock)
        self._backend: Backend | None = None
        self._try_again_ns = 0  # when there is no model
        self._admitted: dict[str, tuple[PromptJob, int]] = {}  # and when (ns)
        self._counts = Counts()

    def load(self) -> ModelChanged:
        """Load the model. Whatever stands in the way becomes the reason why it is unavailable, until it is loaded by
        a later `step`: a file may come, be whole again, or find room in memory.
        """
        try:
            self._backend = self._open_backend()
        except Exception as error:
            plain = isinstance(error, OrstateError)
            self.model_error = str(error) if plain else f"{type(error).__name__}: {error}"
            self.model_state = "unavailable"
            self._try_again_ns = self._clock() + round(self._settings.retry_s * 1e9)
        else:
            self.model_error = ""
            self.model_state = "ready"
        return self._model()

    @property
    def accepting(self) -> bool:
        return len(self._cycle) < 2 * self._settings.batch

    @property
    def idle(self) -> bool:
        return not self._cycle and not self._admitted

    @property
    def at_work(self) -> tuple[str, ...]:
        if self._backend is None:
            return (LOADING,)
        return tuple(job.job_id for job in self._cycle.due(self._backend.active)) or self._backend.at_work

    def restore(self, past: Past) -> Restored:
        """Nothing: what was not answered is sent again."""
        return Restored()

    def met(self, peer: StageName) -> Iterable[Message]:
        """Nothing: what parse has not taken is sent again."""
        return ()

    def handle(self, message: Message) -> Iterable[Message]:
        """Take a job, or take one back. Without a model a job is answered at once."""
        if isinstance(message, Cancel):
            return self._cancel(message.job_id)
        if not isinstance(message, PromptJob):
            raise TypeError(f"the inference stage takes PromptJob and Cancel, not {type(message).__name__}")
        if self._backend is None:
            return [self._unanswered(message, "model_unavailable", self.model_error)]
        self._cycle.add(message)
        return []

    def step(self) -> Iterable[Message]:
        """Admit what is due, or let the model work on what was admitted: `at_work` is true before either. Without a
        model, try to load it again.
        """
        backend = self._backend
        if backend is None:
            return self._load_again() if self.wait_s() == 0.0 else []
        late = "the deadline passed while the question waited for the model"
        sent: list[Message] = [self._unanswered(job, "timeout", late) for job in self._cycle.expire()]
        if self._cycle.due(backend.active):
            fault = backend.fault()
            return [*sent, *(self._let_go(fault) if fault else self._admit(backend))]
        if backend.active:
            began = self._clock()
            sent += self._run(backend)
            self._counts.inference_ns += self._clock() - began
        return sent

    def wait_s(self) -> float | None:
        if self._backend is None:
            left_ns = max(0, self._try_again_ns - self._clock())
            return left_ns / 1e9 if self.model_state == "unavailable" else None
        active = self._backend.active
        return 0.0 if active else self._cycle.wait_s(active)

    def counters(self) -> dict[str, float]:
        """Totals, and `batch_N`: how many cycles had N jobs."""
        counts, cycle = self._counts, self._cycle
        return {
            "cycles": cycle.cycles,
            **{f"batch_{size}": cycle.sizes[size] for size in range(1, len(cycle.sizes))},
            "jobs": cycle.jobs,
            "failures": counts.failures,
            "timeouts": counts.timeouts,
            "prompt_tokens": counts.prompt_tokens,
            "reused_tokens": counts.reused_tokens,
            "answer_tokens": counts.answer_tokens,
            "inference_ms": counts.inference_ns / 1e6,
            "waiting_now": len(cycle),
            "peak_mb_now": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            **(self._backend.counters() if self._backend is not None else {}),
        }

    def close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self.model_state, self.model_error = "down", "the inference stage is closed"
            backend.close()

    def _cancel(self, job_id: str) -> list[Completion]:
        job = self._cycle.withdraw(job_id)
        if job is not None:
            return [self._unanswered(job, "expired", "the question was taken back before its turn came")]
        if self._backend is not None and job_id in self._admitted:
            self._backend.cancel(job_id)
        return []

    def _admit(self, backend: Backend) -> list[Completion]:
        failed = []
        for job in self._cycle.admit(backend.active):
            try:
                backend.admit(job)
            except Exception as error:
                text = f"the model cannot be asked: {type(error).__name__}: {error}"
                failed.append(self._unanswered(job, "model_unavailable", text))
            else:
                self._admitted[job.job_id] = (job, self._clock())
        return failed

    def _let_go(self, fault: str) -> list[Message]:
        """The model can be relied on no more: answer what waits for it, close it, and load it again with the next
        step.
        """
        jobs = [job for job, _ in self._admitted.values()] + self._cycle.clear()
        self._admitted.clear()
        self.close()
        self.model_state, self.model_error = "unavailable", fault
        self._try_again_ns = self._clock()
        return [*(self._unanswered(job, "model_unavailable", fault) for job in jobs), self._model()]

    def _load_again(self) -> list[ModelChanged]:
        before = self._model()
        now = self.load()
        return [now] if now != before else []

    def _model(self) -> ModelChanged:
        return ModelChanged(state=self.model_state, name=self.model_name, label=self.label, error=self.model_error)

    def _run(self, backend: Backend) -> list[Message]:
        try:
            answers = backend.step()
        except Exception as error:
            lost = [job for job, _ in self._admitted.values()]
            self._admitted.clear()
            backend.abandon()
            if len(lost) > 1:  # alone, each shows whether the fault was its own
                self._cycle.put_back(msgspec.structs.replace(job, alone=True) for job in lost)
                return []
            text = f"the model failed: {type(error).__name__}: {error}"
            return [self._unanswered(job, "model_unavailable", text) for job in lost]
        if answers and (fault := backend.fault()):  # they may be of weights that are no model's
            return self._let_go(fault)
        return [self._answered(answer) for answer in answers]

    def _answered(self, answer: Answer) -> Completion:
        job, admitted_ns = self._admitted.pop(answer.job_id)
        self._count(answer.outcome)
        self._counts.prompt_tokens += answer.prompt_tokens
        self._counts.reused_tokens += answer.reused_tokens
        self._counts.answer_tokens += answer.answer_tokens
        return Completion(
            job_id=job.job_id,
            kind=job.kind,
            rules=job.rules,
            outcome=answer.outcome,
            text=answer.text,
            truncated=answer.truncated,
            error=answer.error,
            model=self.model_name,
            label=self.label,
            prompt_tokens=answer.prompt_tokens,
            answer_tokens=answer.answer_tokens,
            certainty=answer.certainty,
            stamps={
                **job.stamps,
                "admitted": admitted_ns,
                "started": answer.started_ns,
                "finished": self._clock(),
            },
        )

    def _unanswered(
        self, job: PromptJob, outcome: Literal["timeout", "model_unavailable", "expired"], error: str
    ) -> Completion:
        self._count(outcome)
        return Completion(
            job_id=job.job_id,
            kind=job.kind,
            rules=job.rules,
            outcome=outcome,
            error=error,
            model=self.model_name,
            label=self.label,
            stamps={**job.stamps, "finished": self._clock()},
        )

    def _count(self, outcome: str) -> None:
        self._counts.timeouts += outcome == "timeout"
        self._counts.failures += outcome == "model_unavailable"
