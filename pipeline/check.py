"""What would fail if an instance of this configuration were started here, and why. Used by the command line."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import zmq

from pipeline.config import Config, resolve
from pipeline.errors import OrstateError
from pipeline.ring import ring_size
from pipeline.rundir import RunDirectory, run_directory
from pipeline.segment import folder, free_bytes
from pipeline.wiring import QUEUES


class Finding(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    detail: str


def findings(config: Config) -> Iterator[Finding]:
    """The machine's part: run directory, shared memory, endpoints, journal."""
    yield attempt("run directory", lambda: _run_directory(config))
    yield _shared_memory(config)
    ingress, egress = config.ingress, config.egress
    for what, endpoint in (
        ("ingress.bind", ingress.bind),
        ("ingress.requests", ingress.requests),
        ("egress.states", egress.states),
    ):
        if endpoint not in ("", "ipc"):
            yield attempt(what, lambda endpoint=endpoint: _bind(endpoint))  # type: ignore[misc]
    for endpoint in ingress.connect:
        yield attempt("ingress.connect", lambda endpoint=endpoint: _connect(endpoint))  # type: ignore[misc]
    if config.run.journal:
        yield _journal(resolve(config.run.journal))


def attempt(what: str, look: Callable[[], str]) -> Finding:
    """A finding from a function that tells the detail or raises OrstateError."""
    try:
        return Finding(True, what, look())
    except OrstateError as error:
        return Finding(False, what, str(error))


def _run_directory(config: Config) -> str:
    existed = (path := run_directory(config)).exists()
    directory = RunDirectory(path)
    directory.remove()
    return f"{path} can be used" + (" (what a killed run left there was removed)" if existed else "")


def _shared_memory(config: Config) -> Finding:
    queues, frames = config.queues, config.frames
    need = len(QUEUES) * ring_size(queues.slots, queues.slot_bytes)
    need += frames.rings * ring_size(frames.slots, frames.slot_bytes)
    free = free_bytes()
    return Finding(
        need < free, "shared memory", f"{need / 2**20:.0f} MiB needed, {free / 2**20:.0f} free in {folder()}"
    )


def _bind(endpoint: str) -> str:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise OrstateError(f"{endpoint} cannot be bound: {error.strerror}") from error
    return f"{endpoint} can be bound"


def _connect(endpoint: str) -> str:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise OrstateError(f"{endpoint} is no endpoint to connect to: {error.strerror}") from error
    return f"{endpoint} is an endpoint; whether somebody publishes there shows when he does"


def _journal(path: Path) -> Finding:
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(False, "journal", f"{path}: {existing} cannot be written to; set run.journal")
    stat = os.statvfs(existing)
    return Finding(True, "journal", f"{path}: {stat.f_bavail * stat.f_frsize / 2**30:.1f} GiB free")
