"""What would fail if an instance of this configuration were started here, and why. Used by the command line."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import zmq

from pipeline import curve, endpoints
from pipeline.config import Config, Security, resolve
from pipeline.errors import OrstateError
from pipeline.guard import Guard
from pipeline.neighbour import cores_of
from pipeline.ring import ring_size
from pipeline.rundir import RunDirectory, run_directory
from pipeline.segment import folder, free_bytes
from pipeline.sockets import Context, Socket, make_socket
from pipeline.wiring import QUEUES


class Finding(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    detail: str


def findings(config: Config) -> Iterator[Finding]:
    """The machine's part: run directory, shared memory, keys, endpoints, journal."""
    yield attempt("run directory", lambda: _run_directory(config))
    yield _shared_memory(config)
    yield attempt("cores", lambda: ", ".join(map(str, sorted(cores_of(config.inference)))))
    keys = attempt("keys", partial(_keys, config.security))
    yield keys
    if keys.ok:
        yield from _endpoints(config)
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


def _keys(security: Security) -> str:
    if not security.keys:
        return "none: tcp endpoints bind to loopback only, and let in every account of this machine"
    folder = resolve(security.keys)
    ours = curve.load_keys(folder, "security.keys")
    allowed = curve.Allowed(resolve(security.clients), ours.public, "security.clients")
    for endpoint, file in security.publishers.items():
        curve.load_public(resolve(file), f"security.publishers.{endpoint!r}")
    return f"{folder}: right; {allowed.count} clients are allowed, {len(security.publishers)} publishers known"


def _endpoints(config: Config) -> Iterator[Finding]:
    """All of them are held together, so that two keys with one address are found too."""
    ingress, egress = config.ingress, config.egress
    context: Context = zmq.Context()
    held: list[Socket] = []  # pyzmq closes what nobody holds
    guard = Guard(config.security, context)
    try:
        for key, endpoint in (
            ("ingress.bind", ingress.bind),
            ("ingress.requests", ingress.requests),
            ("egress.states", egress.states),
        ):
            if endpoint not in ("", "ipc"):  # what is in the run directory is looked after with it
                held.append(make_socket(context, zmq.XPUB))
                yield attempt("endpoint", partial(_bind, guard, held[-1], endpoint, key))
        for endpoint in ingress.connect:
            held.append(make_socket(context, zmq.SUB))
            yield attempt("endpoint", partial(_connect, guard, held[-1], endpoint, "ingress.connect"))
    finally:
        guard.close()
        context.destroy(linger=0)


def _bind(guard: Guard, socket: Socket, endpoint: str, key: str) -> str:
    guard.bind(socket, endpoint, key)
    return f"{key} = {endpoint!r} can be bound"


def _connect(guard: Guard, socket: Socket, endpoint: str, key: str) -> str:
    guard.connect(socket, endpoint, key)
    clear = endpoints.is_open(endpoint) and not guard.knows(endpoint)
    return f"{key} = {endpoint!r} can be connected to; whether somebody publishes there shows when he does" + (
        "; no key in security.publishers: what he says is neither encrypted nor known to be his" if clear else ""
    )


def _journal(path: Path) -> Finding:
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(False, "journal", f"{path}: {existing} cannot be written to; set run.journal")
    stat = os.statvfs(existing)
    return Finding(True, "journal", f"{path}: {stat.f_bavail * stat.f_frsize / 2**30:.1f} GiB free")
