"""A backend that runs a GGUF file through llama-cpp-python, one job after the other. Runs in the inference process
only: nothing else imports llama_cpp.

The tokens of the last prompt and answer stay computed. What the next prompt has in common with them from its
beginning is not computed again; sliding-window models keep all their cells for that (`swa_full`).
"""

import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.manifest import Manifest
from pipeline.config import InferenceSection
from pipeline.errors import OrstateError
from pipeline.messages import PromptJob
from stages.inference.backend import Answer
from stages.inference.constraint import Constraints, Mask, check
from stages.inference.library import llama_cpp, lltokenizer_from_vocab, without_amx
from stages.inference.tokens import lay_out
from stages.surgery import Surgery

PIECE = 128  # tokens of a prompt that are computed between two looks at the deadline
TOP_K = 40

_LOG_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_complaints: deque[str] = deque(maxlen=5)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_errors(level: int, text: bytes, _: Any) -> None:
    if level == _LOG_ERROR:
        _complaints.append(text.decode(errors="replace").strip())


class LlamaBackend:
    """One model, one sequence. An admitted job is run to its end by one step."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        settings: InferenceSection,
        surgeries: Mapping[str, Surgery],
        limit_s: float,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Loads the model. `limit_s`: how long a job may run that has no deadline or a later one.

        Raises OrstateError if the file cannot be loaded.
        """
        self._settings = settings
        self._limit_ns = round(limit_s * 1e9)
        self.clock = clock
        self._jobs: deque[PromptJob] = deque()
        self._llama = _load(path, manifest, settings)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # one for each token
            tokenizer = lltokenizer_from_vocab(self._llama._model.vocab)
        self._constraints = Constraints(tokenizer, surgeries)
        self._vocabulary = self._llama.n_vocab()
        self._room = self._llama.n_ctx() - settings.max_tokens - 1
        begins = self._llama.metadata.get("tokenizer.ggml.add_bos_token", "true") == "true"
        self._begin = [self._llama.token_bos()] if begins else []

    @property
    def active(self) -> int:
        return len(self._jobs)

    @property
    def at_work(self) -> tuple[str, ...]:
        return (self._jobs[0].job_id,) if self._jobs else ()

    def admit(self, job: PromptJob) -> None:
        self._jobs.append(job)

    def step(self) -> list[Answer]:
        if not self._jobs:
            return []
        job = self._jobs.popleft()
        now = self.clock()
        blank = Answer(job_id=job.job_id, outcome="timeout", started_ns=now)
        limit = now + self._limit_ns
        deadline = limit if job.deadline_ns is None else min(limit, job.deadline_ns)
        _complaints.clear()
        try:
            return [self._answer(job, blank, deadline)]
        except (OrstateError, RuntimeError, ValueError) as error:
            return [replace(blank, outcome="model_unavailable", error="; ".join([str(error), *_complaints]))]

    def abandon(self) -> None:
        self._jobs.clear()

    def close(self) -> None:
        self._jobs.clear()
        self._llama.close()

    def _tokenize(self, text: str, special: bool) -> list[int]:
        return self._llama.tokenize(text.encode(), add_bos=False, special=special)

    def _answer(self, job: PromptJob, blank: Answer, deadline: int) -> Answer:
        if self.clock() >= deadline:
            return replace(blank, error="the deadline passed before the question's turn came")
        matcher = self._constraints.matcher(job.rules.surgery, job.answer)
        prompt = self._begin + lay_out(job.prompt, self._tokenize, self._room - len(self._begin))
        reused = self._keep_common(prompt)
        blank = replace(blank, prompt_tokens=len(prompt), reused_tokens=reused)
        for at in range(reused, len(prompt), PIECE):
            if self.clock() >= deadline:
                where = f"{at} of {len(prompt)} prompt tokens"
                return replace(blank, error=f"the deadline passed at {where}")
            self._llama.eval(prompt[at : at + PIECE])
        mask = Mask(matcher, self._vocabulary)
        answer: list[int] = []
        with closing(self._stream(prompt, mask)) as tokens:
            for token in tokens:
                if mask.error is not None:
                    raise RuntimeError(f"no mask for token {len(answer)}: {mask.error}") from mask.error
                matcher.consume_token(token)
                check(matcher, f"token {len(answer)} of the answer")
                answer.append(token)
                if matcher.is_stopped() or len(answer) == self._settings.max_tokens:
                    break
                if self.clock() >= deadline:
                    return self._finished(blank, answer, error=f"the deadline passed at answer token {len(answer)}")
        return self._finished(replace(blank, outcome="ok", truncated=not matcher.is_accepting()), answer)

    def _keep_common(self, prompt: list[int]) -> int:
        """How many tokens of the prompt are computed already; what stands behind them is forgotten.

        The last one is always computed: the first token of the answer is chosen from what it gives.
        """
        llama = self._llama
        common: int = llama.longest_token_prefix(llama.input_ids[: llama.n_tokens].tolist(), prompt[:-1])
        if not llama._ctx.kv_cache_seq_rm(-1, common, -1):  # a recurrent model cannot go back
            common = 0
        llama.reset()  # type: ignore[no-untyped-call]
        llama.n_tokens = common
        return common

    def _stream(self, prompt: list[int], mask: Mask) -> Any:
        self._llama.set_seed(self._settings.seed)
        return self._llama.generate(
            prompt,
            temp=self._settings.temperature,
            top_p=self._settings.top_p,
            top_k=TOP_K,
            min_p=0.0,
            logits_processor=llama_cpp.LogitsProcessorList([mask]),
        )

    def _finished(self, answer: Answer, tokens: list[int], error: str = "") -> Answer:
        text = self._llama.detokenize(tokens).decode(errors="replace")
        return replace(answer, text=text, answer_tokens=len(tokens), error=error)


def _load(path: Path, manifest: Manifest, settings: InferenceSection) -> llama_cpp.Llama:
    threads = settings.threads or len(os.sched_getaffinity(0))
    _complaints.clear()
    llama_cpp.llama_log_set(_keep_errors, None)
    try:
        with without_amx():
            return llama_cpp.Llama(
                str(path),
                n_ctx=min(settings.context, manifest.context),
                n_batch=PIECE,
                n_ubatch=PIECE,
                n_threads=threads,
                n_threads_batch=threads,
                seed=settings.seed,
                swa_full=True,
                use_mmap=True,
                verbose=False,
            )
    except (OSError, RuntimeError, ValueError) as error:
        advice = f"check it with: python run_pipeline.py models verify {manifest.name}"
        raise OrstateError(f"{path}: {'; '.join([str(error), *_complaints])}; {advice}") from error
