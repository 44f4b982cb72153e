"""`bench fuzz`: all targets, two at a time, each for some minutes in a process of its own.

A fault is a crash (an exception that is none of those a reader may raise, or a crash of native code), a hang, a
leak (memory that grows after the first part of the run), or something that came out and does not keep its contract.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Final

import msgspec

from benchmarks.fuzz.targets import TARGETS
from benchmarks.fuzz.worker import Seen
from benchmarks.report import Report, report, tell, write
from pipeline.config import ROOT
from pipeline.console import Bar
from pipeline.errors import OrstateError

CORPUS: Final = ROOT / "tests" / "fuzz" / "corpus"
TOGETHER: Final = 2
LEAK_MB: Final = 100.0  # growth in the later part of a run; what libFuzzer keeps of its own stays below
MOST_DEATHS: Final = 5  # of a target's processes
TOLD_S: Final = 1.0  # between two looks at how far it is
LOOK_S: Final = 0.2  # between two looks at a process
GRACE_S: Final = 120.0  # to start, and to notice a hang


class Fuzzed(msgspec.Struct, kw_only=True):
    """What became of one target."""

    inputs: int = 0
    seconds: float = 0.0
    crashes: int = 0
    hangs: int = 0
    leaks: int = 0
    unvalidated: int = 0
    slowest_s: float = 0.0
    memory_mb: float = 0.0
    growth_mb: float = 0.0
    faults: list[str] = []

    @property
    def is_clean(self) -> bool:
        return not (self.crashes or self.hangs or self.leaks or self.unvalidated)


def main(minutes: float, names: Sequence[str], faults: Path, path: Path | None) -> bool:
    """Run the targets, print the table, write the figures to `path`; whether no fault was found.

    Targets that are not run keep the figures that `path` has of them.
    Inputs that found one are left in `faults`, in a folder for each target. Raises OrstateError for an unknown target
    and if atheris is not installed.
    """
    if strange := [name for name in names if name not in TARGETS]:
        raise OrstateError(f"no fuzz target {strange[0]!r}; there are {', '.join(TARGETS)}")
    _need_atheris()
    chosen = list(names or TARGETS)
    due_s = math.ceil(minutes * 60 * math.ceil(len(chosen) / TOGETHER))
    with ThreadPoolExecutor(TOGETHER) as pool, Bar("bench fuzz", due_s) as bar:
        bar.say(f"{len(chosen)} targets, {minutes:g} minutes each, {TOGETHER} at a time")
        begin = time.monotonic()
        stop = Event()
        running = [pool.submit(_fuzz, name, minutes * 60, faults, stop) for name in chosen]
        try:
            while wait(running, TOLD_S).not_done:
                bar(min(due_s, round(time.monotonic() - begin)))
        finally:
            stop.set()  # an interrupt ends the processes too
        done = dict(zip(chosen, (one.result() for one in running), strict=True))
    for line in _table(done):
        tell(line, path)
    before = msgspec.json.decode(path.read_bytes(), type=Report).runs if path is not None and path.exists() else {}
    runs = before | {name: msgspec.to_builtins(fuzzed) for name, fuzzed in done.items()}
    kinds = ("inputs", "crashes", "hangs", "leaks", "unvalidated")
    write(report("fuzz", runs, {kind: float(sum(run[kind] for run in runs.values())) for kind in kinds}), path)
    return all(fuzzed.is_clean for fuzzed in done.values())


def _need_atheris() -> None:
    try:
        import atheris  # noqa: F401
    except ImportError as error:
        raise OrstateError("fuzzing needs atheris: pip install 'orstate[fuzz]' (or make fuzz)") from error


def _fuzz(name: str, seconds: float, faults: Path, stop: Event) -> Fuzzed:
    """One target for so long, or until `stop`. A process that dies is started again for the rest of the time."""
    fuzzed = Fuzzed()
    end = time.monotonic() + seconds
    for _ in range(MOST_DEATHS):
        left = end - time.monotonic()
        if left < min(10.0, seconds) or stop.is_set():
            break
        with tempfile.TemporaryDirectory(prefix="orstate-fuzz-") as folder:
            _run(name, left, Path(folder), fuzzed, stop)
            _keep(Path(folder) / "faults", faults / name)
    return fuzzed


def _run(name: str, seconds: float, folder: Path, fuzzed: Fuzzed, stop: Event) -> None:
    told = (name, seconds, folder, CORPUS / name, os.getpid())
    command = [sys.executable, "-m", "benchmarks.fuzz.worker", *map(str, told)]
    with (folder / "output").open("wb") as output:
        worker = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        late = time.monotonic() + seconds + GRACE_S
        try:
            while (code := worker.poll()) is None and time.monotonic() < late and not stop.wait(LOOK_S):
                pass
        finally:
            worker.kill()
            worker.wait()
    if not stop.is_set():
        _add(fuzzed, folder, code)


def _add(fuzzed: Fuzzed, folder: Path, code: int | None) -> None:
    """What the process said of itself, and what libFuzzer left of one that did not end by itself."""
    told = folder / "report.json"
    seen = msgspec.json.decode(told.read_bytes(), type=Seen) if told.exists() else Seen()
    fuzzed.inputs += seen.inputs
    fuzzed.seconds += seen.seconds
    fuzzed.slowest_s = max(fuzzed.slowest_s, seen.slowest_s)
    fuzzed.memory_mb = max(fuzzed.memory_mb, seen.memory_mb)
    fuzzed.growth_mb = max(fuzzed.growth_mb, seen.memory_mb - seen.settled_mb)
    fuzzed.crashes += len(seen.crashes)
    fuzzed.unvalidated += len(seen.unvalidated)
    fuzzed.faults += [*seen.crashes, *seen.unvalidated]
    if fuzzed.growth_mb > LEAK_MB:
        fuzzed.leaks += 1
        fuzzed.faults.append(f"memory grew by {fuzzed.growth_mb:.0f} MB")
    if code == 0:
        return
    left = [path.name.partition("-")[0] for path in (folder / "faults").glob("*-*")]
    fuzzed.hangs += (hung := code is None or "timeout" in left)
    fuzzed.leaks += (full := not hung and "oom" in left)
    fuzzed.crashes += not (hung or full)
    last = (folder / "output").read_text(errors="replace").strip().splitlines()[-3:]
    fuzzed.faults.append(f"ended with {code}: {' | '.join(last)}")


def _keep(found: Path, faults: Path) -> None:
    if found.is_dir() and any(found.iterdir()):
        shutil.copytree(found, faults, dirs_exist_ok=True)


def _table(done: dict[str, Fuzzed]) -> Iterator[str]:
    heads = (
        ("inputs", 13),
        ("a second", 9),
        ("crashes", 8),
        ("hangs", 6),
        ("leaks", 6),
        ("invalid", 8),
        ("MB more", 8),
    )
    yield ("target".ljust(10) + "".join(head.rjust(width) for head, width in heads))
    for name, f in done.items():
        rate = f.inputs / max(f.seconds, 1e-9)
        yield (
            f"{name:10}{f.inputs:13,}{rate:9,.0f}{f.crashes:8}{f.hangs:6}{f.leaks:6}{f.unvalidated:8}{f.growth_mb:8.1f}"
        )
        for fault in f.faults:
            yield f"    {fault}"
