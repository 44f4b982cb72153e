"""A peer: the plain call of llama-cpp-python with a schema grammar, one question after the other, the whole prompt each
time; what it has in common with the last one is found by the library itself. Runs in a child process.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_cpp.llama_grammar import LlamaGrammar

from benchmarks.memory import memory_mb
from benchmarks.peers.library import open_plain
from benchmarks.served import Run, Schemas, Served, in_turn
from benchmarks.workload import Question


class Sequential:
    """A `served.Peer`. It has no way to do anything together."""

    def __init__(self, path: Path, schemas: Schemas, context: int, threads: int, max_tokens: int) -> None:
        self._llama = open_plain(path, context, threads)
        self._max_tokens = max_tokens
        self._grammars = {
            surgery: LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
            for surgery, schema in schemas.items()
        }

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
        completion: Any = self._llama.create_completion(
            question.text,
            max_tokens=self._max_tokens,
            temperature=0.0,
            grammar=self._grammars[question.surgery],
        )
        return Served(
            session=question.session,
            number=question.number,
            surgery=question.surgery,
            text=completion["choices"][0]["text"],
            seconds=time.perf_counter() - begin,
            prompt_tokens=completion["usage"]["prompt_tokens"],
        )
