"""One process that fuzzes one target: libFuzzer with the coverage of our own code, by the package atheris.

    python -m benchmarks.fuzz.worker TARGET SECONDS FOLDER CORPUS PARENT

Most inputs are a known one with a few bytes changed, the others are structured ones or made of pieces of two. An
exception is written down and the run goes on; a crash of native code, a hang or too much memory ends the process, and
libFuzzer leaves the input that did it in FOLDER/faults. If the process PARENT, which started it, is gone, it ends.
"""

import hashlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import psutil
from hypothesis import HealthCheck, given, settings

from benchmarks.fuzz.target import Target, Unvalidated

INSTRUMENTED: Final = ["pipeline", "stages", "models", "mcap"]
HANG_S: Final = 25
MOST_MB: Final = 2048
LONGEST: Final = 1 << 16  # bytes of an input
LOOK_EVERY: Final = 64  # inputs between two looks at the clock
SETTLED: Final = 0.4  # of the time: memory that is taken later is counted as growth


class Seen(msgspec.Struct, kw_only=True):
    """What one process has seen. `faults`: how often each, by what it is and where; a fault of one place is one."""

    inputs: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    settled_mb: float = 0.0
    memory_mb: float = 0.0
    crashes: dict[str, int] = {}
    unvalidated: dict[str, int] = {}


class Watch:
    """Gives inputs to a target, and writes to the folder what is seen."""

    def __init__(self, target: Target, seconds: float, folder: Path, parent: int) -> None:
        (folder / "work").mkdir()
        self._check = target.make(folder / "work")
        self._folder = folder
        self._limit_s = seconds
        self._began = self._told = time.monotonic()
        self._parent = parent
        self._process = psutil.Process()
        self.seen = Seen()

    def give(self, data: bytes) -> None:
        """One input. Ends the process when the time is over."""
        seen, began = self.seen, time.perf_counter()
        seen.inputs += 1
        try:
            self._check(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._note(data, error)
        seen.slowest_s = max(seen.slowest_s, time.perf_counter() - began)
        if seen.inputs % LOOK_EVERY == 0:
            self._look()

    def _note(self, data: bytes, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        found = self.seen.unvalidated if isinstance(error, Unvalidated) else self.seen.crashes
        found[where] = found.get(where, 0) + 1
        if found[where] == 1:
            name = hashlib.sha1(data).hexdigest()[:12]
            (self._folder / "faults" / name).write_bytes(data)
            (self._folder / "faults" / f"{name}.txt").write_text("".join(traceback.format_exception(error)))

    def _look(self) -> None:
        now = time.monotonic()
        over = now - self._began >= self._limit_s
        if now - self._told < 1.0 and not over:
            return
        self._told, seen = now, self.seen
        seen.seconds, seen.memory_mb = now - self._began, self._process.memory_info().rss / 1e6
        if seen.seconds < SETTLED * self._limit_s or not seen.settled_mb:
            seen.settled_mb = seen.memory_mb
        part = self._folder / "report.part"
        part.write_bytes(msgspec.json.encode(seen))
        part.replace(self._folder / "report.json")
        if over or os.getppid() != self._parent:
            os._exit(0)


class Structured:
    """Structured inputs of a target, by a seed."""

    def __init__(self, target: Target) -> None:
        self._made = b""
        strategy = target.structured

        @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def take(made: bytes) -> None:
            self._made = made

        self._draw: Any = take.hypothesis.fuzz_one_input  # type: ignore[attr-defined]

    def make(self, random: Random) -> bytes:
        """One of them; the one before if the seed gives none."""
        self._draw(random.randbytes(2048))
        return self._made


class Mutator:
    """The next input, from one that is known."""

    def __init__(self, target: Target, mutate: Callable[[bytes, int], bytes]) -> None:
        self._structured = Structured(target)
        self._mutate = mutate
        self._before = b""

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        way = random.randrange(32)
        if way == 0:
            made = self._structured.make(random)
        elif way < 8:
            made = _spliced(data, self._before, random)
        else:
            made = self._mutate(data, max_size)
        self._before = data
        return made[:max_size]


def _spliced(one: bytes, other: bytes, random: Random) -> bytes:
    """Lines of both in any order, or the beginning of one and the end of the other."""
    lines = [*one.split(b"\n"), *other.split(b"\n")]
    if len(lines) > 3 and random.random() < 0.7:
        return b"\n".join(random.sample(lines, random.randrange(1, len(lines))))
    return one[: random.randrange(len(one) + 1)] + other[random.randrange(len(other) + 1) :]


def main(name: str, seconds: float, folder: Path, corpus: Path, parent: int) -> None:
    """Fuzz until the time is over; never returns."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from benchmarks.fuzz.targets import TARGETS
    target = TARGETS[name]
    (folder / "new").mkdir()
    (folder / "faults").mkdir(exist_ok=True)
    watch = Watch(target, seconds, folder, parent)
    arguments = [
        sys.argv[0],
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MOST_MB}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={folder / 'faults'}/",
        "-print_final_stats=0",
        "-verbosity=0",
        str(folder / "new"),
        *([str(corpus)] if corpus.is_dir() else []),
    ]

    def mutate(data: bytes, most: int) -> bytes:
        changed: bytes = atheris.Mutate(data, most)  # looked up here: Fuzz puts another function in its place
        return changed

    atheris.Setup(arguments, watch.give, custom_mutator=Mutator(target, mutate))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
