"""A stage's process from inside: the entry point that multiprocessing's `spawn` starts.

Only here the pipeline names the stages, by module; each has `create(config, incarnation)`.
"""

import gc
import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path

import msgspec
import zmq

from pipeline import control, neighbour
from pipeline.codec import encode
from pipeline.control import StageName
from pipeline.errors import ConfigError, OrstateError
from pipeline.guard import Guard
from pipeline.loop import Loop
from pipeline.restore import Journal, Restored
from pipeline.sockets import Context, Socket, make_socket
from pipeline.stage import Stage
from pipeline.wiring import Place, wire

MODULES: dict[StageName, str] = {
    "prompt": "stages.prompt.stage",
    "inference": "stages.inference.stage",
    "parse": "stages.parse.stage",
}
BAD_CONFIGURATION = 2  # exit code: starting again would not help
LOST_SUPERVISOR = 70  # exit code of a stage whose supervisor is gone
COLLECTED_AFTER = (10_000, 20, 50)  # objects made, then rounds of each generation


def main(name: StageName, place_json: bytes) -> None:
    """Run one stage until the supervisor says stop; leave at once if the supervisor dies."""
    place = msgspec.json.decode(place_json, type=Place)
    _redirect_stderr(Path(place.directory) / f"{name}.log")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the supervisor alone decides: it drains first
    _die_with_supervisor()
    context = zmq.Context[Socket]()
    try:
        with Guard(place.config.security, context) as guard:
            _run(name, place, context, guard)
    except OrstateError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(BAD_CONFIGURATION if isinstance(error, ConfigError) else 1)
    finally:
        context.destroy(linger=2000)


def _run(name: StageName, place: Place, context: Context, guard: Guard) -> None:
    socket = make_socket(context, zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, name.encode())
    socket.connect(place.control)
    socket.send(encode(control.Hello(pid=os.getpid(), schema=control.schema_hash())))
    answer = control.TO_STAGE.decode(socket.recv())
    if not isinstance(answer, control.Welcome):
        return
    if name == "inference":
        neighbour.settle(place.config.inference)
    stage: Stage = import_module(MODULES[name]).create(place.config, place.incarnation)
    limit = place.config.ingress.max_message_bytes
    past = Journal(Path(place.journal), limit) if place.incarnation and place.journal else None
    wiring = wire(name, place, context, socket, guard)
    guard.start()
    try:
        if (loaded := stage.load()) is not None:
            socket.send(encode(loaded))
        if wiring.publisher is not None:
            wiring.publisher.await_subscriptions(answer.subscriptions, answer.wait_s)
        again = Restored()
        if name == "prompt":
            stage.handle(answer.model)
        if past is not None:
            past.alive = lambda: wiring.board.mark(name, time.monotonic_ns())
            again = stage.restore(past)
        gc.freeze()  # what is here now stays: the collector is not to walk through it while a message waits
        gc.set_threshold(*COLLECTED_AFTER)
        Loop(name, stage, wiring, place.config.supervision.status_s).run(again)
    finally:
        stage.close()
        if wiring.journal is not None:
            wiring.journal.close()


class _Log(io.TextIOBase):
    """Standard error, written at once. A full disk costs the line, and not the process that wanted to say it."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            os.write(2, text.encode(errors="backslashreplace"))
        return len(text)


def _redirect_stderr(path: Path) -> None:
    """Native libraries write to file descriptor 2, so it is the descriptor that goes to the log."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = sys.stderr = _Log()


def _die_with_supervisor() -> None:
    """A thread, because a step of the model blocks the loop for seconds."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(LOST_SUPERVISOR)

    threading.Thread(target=watch, daemon=True, name="supervisor-watch").start()
