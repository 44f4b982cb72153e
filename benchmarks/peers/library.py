"""The plain library: llama-cpp-python as it comes, for the peers that call it. Used in child processes only.

It is imported here before anything of ours sets how its threads wait.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp


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
