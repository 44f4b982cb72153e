"""The plain library: llama-cpp-python as it comes, for the peers that call it. Used in child processes only.

It is imported here before anything of ours sets how its threads wait.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp

from benchmarks.memory import memory_mb
from benchmarks.served import Run, Served, in_turn
from benchmarks.workload import Question


def open_plain(path: Path, context: int, threads: int) -> llama_cpp.Llama:
    """The model with the library's own defaults but for the size of its context and the number of threads."""
    defaults = llama_cpp.llama_cpp.llama_model_default_params

    def plain_buffers() -> Any:
        parameters = defaults()
        parameters.use_extra_bufts = False
        return parameters

    llama_cpp.llama_log_set(_quiet, None)  # what goes wrong is raised too
    if b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info():  # see stages/inference/library.py
        llama_cpp.llama_cpp.llama_model_default_params = plain_buffers
    return llama_cpp.Llama(str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)


class OneByOne:
    """A `served.Peer` that calls the library for one question after the other: it has no way to do it together."""

    def __init__(self, llama: llama_cpp.Llama, call: Callable[[Question], tuple[str, Any]]) -> None:
        """`call` gives the answer's text and the library's count of tokens."""
        self._llama = llama
        self._call = call

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        begin = time.perf_counter()
        served = [self._ask(question) for question in in_turn(sessions)]
        return Run(served, time.perf_counter() - begin)

    def memory(self) -> dict[str, float]:
        return memory_mb(os.getpid())

    def counters(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        self._llama.close()

    def _ask(self, question: Question) -> Served:
        begin = time.perf_counter()
        text, usage = self._call(question)
        return Served(
            session=question.session,
            number=question.number,
            surgery=question.surgery,
            text=text,
            seconds=time.perf_counter() - begin,
            prompt_tokens=usage["prompt_tokens"],
        )


def count_tokens(path: Path, texts: Sequence[str]) -> dict[str, int]:
    """How many tokens each text has in the model's vocabulary. Reads no weights."""
    llama_cpp.llama_log_set(_quiet, None)
    llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    counts = {text: len(llama.tokenize(text.encode(), add_bos=False)) for text in texts}
    llama.close()
    return counts


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _quiet(*_: Any) -> None:
    pass
