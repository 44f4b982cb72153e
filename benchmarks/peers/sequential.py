"""A peer: the plain call of llama-cpp-python with a schema grammar, one question after the other, the whole prompt each
time; what it has in common with the last one is found by the library itself. Runs in a child process.
"""

import json
from pathlib import Path
from typing import Any

from llama_cpp.llama_grammar import LlamaGrammar

from benchmarks.peers.library import OneByOne, open_plain
from benchmarks.served import Schemas
from benchmarks.workload import Question


def sequential(path: Path, schemas: Schemas, context: int, threads: int, max_tokens: int) -> OneByOne:
    """That peer, its model loaded."""
    llama = open_plain(path, context, threads)
    grammars = {
        surgery: LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) for surgery, schema in schemas.items()
    }

    def call(question: Question) -> tuple[str, Any]:
        completion: Any = llama.create_completion(
            question.text, max_tokens=max_tokens, temperature=0.0, grammar=grammars[question.surgery]
        )
        return completion["choices"][0]["text"], completion["usage"]

    return OneByOne(llama, call)
