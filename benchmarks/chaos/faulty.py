"""The pipeline with a model whose native code fails when it is told to: a program for tests and the chaos suite only.

    python -m benchmarks.chaos.faulty run --model stub ...

It is `run_pipeline.py` with another module for the inference stage. `spawn` imports the main module again in each
stage process, so each has it. The pipeline has no setting for it: nobody gets a faulty model by mistake.

What fails is said in a job's transcript: "fault abort", or one of the other FAULTS. Behind it may stand "together":
only while other jobs are at work too; or "once": only in the first process of the run.
"""

import ctypes
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from models.manifest import STUB, find_manifest
from pipeline import process
from pipeline.config import Config
from pipeline.messages import PromptJob
from stages.inference.backend import Answer
from stages.inference.stage import InferenceStage
from stages.inference.stub import StubBackend

MODULE: Final = "benchmarks.chaos.faulty"
PROGRAM: Final = (sys.executable, "-m", MODULE)  # for `Launch`
MEBIBYTE: Final = 1 << 20
_SAID = re.compile(r"\bfault (\w+)(?: (together|once))?")


def _abort() -> NoReturn:
    """As a failed assertion of a C library."""
    os.abort()


def _read_nothing() -> None:
    """A read of address 0."""
    ctypes.string_at(0)


def _hang() -> NoReturn:
    """A call that does not return."""
    while True:
        time.sleep(60.0)


def _allocate_too_much() -> None:
    """An allocation that is refused, which is an exception."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 64 * MEBIBYTE, resource.RLIM_INFINITY))
    try:
        bytearray(1024 * MEBIBYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _eat_memory() -> NoReturn:
    """All the memory there is, until the kernel ends the process. To be said only in a group with a limit."""
    eaten = []
    while True:
        eaten.append(os.urandom(MEBIBYTE))


FAULTS: Final[dict[str, Callable[[], None]]] = {
    "abort": _abort,
    "segv": _read_nothing,
    "hang": _hang,
    "memory": _allocate_too_much,
    "eat": _eat_memory,
}


class FaultyBackend(StubBackend):
    """The stub, but for jobs that say otherwise. "fault admit" fails already where a tokenizer would be at work."""

    def __init__(self, incarnation: int) -> None:
        super().__init__()
        self._incarnation = incarnation

    def admit(self, job: PromptJob) -> None:
        """Take a job, or not."""
        if "fault admit" in job.prompt.transcript:
            os.abort()
        super().admit(job)

    def step(self) -> list[Answer]:
        """Fail, or answer all."""
        for job in self._jobs:
            for fault, when in _SAID.findall(job.prompt.transcript):
                if fault in FAULTS and self._is_due(when):
                    FAULTS[fault]()
        return super().step()

    def _is_due(self, when: str) -> bool:
        return {"together": len(self._jobs) > 1, "once": self._incarnation == 0}.get(when, True)


def create(config: Config, incarnation: int = 0) -> InferenceStage:
    """The inference stage with the faulty stub."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return InferenceStage(config.inference, find_manifest(STUB), lambda: FaultyBackend(incarnation))


if __name__ in ("__main__", "__mp_main__"):  # the program, and what it spawns
    process.MODULES["inference"] = MODULE

if __name__ == "__main__":
    from run_pipeline import main

    main()
