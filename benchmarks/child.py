"""A peer that lives in a process of its own, so that its memory, threads and settings are its own.

The benchmark's process holds a `Child`, which has the peer's methods; the peer is made, and works, in the spawned one.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.served import Peer, Run
from benchmarks.workload import Question
from pipeline.errors import OrstateError

STOP_S = 20.0


class Child:
    """A `served.Peer`. What the peer raises is raised here as OrstateError."""

    def __init__(self, name: str, make: Callable[..., Peer], *arguments: Any) -> None:
        """Spawns the process and waits until the peer is made there by `make(*arguments)`; both must pickle."""
        self._name = name
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_live, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        run: Run = self.call("serve", sessions, together)
        return run

    def memory(self) -> dict[str, float]:
        used: dict[str, float] = self.call("memory")
        return used

    def counters(self) -> dict[str, float]:
        counted: dict[str, float] = self.call("counters")
        return counted

    def call(self, method: str, *arguments: Any) -> Any:
        """Call any method of the peer."""
        self._connection.send((method, arguments))
        return self._receive()

    def close(self) -> None:
        """End the process, by force if it does not end by itself. Called once more is no error."""
        self._connection.close()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> Any:
        try:
            failed, value = self._connection.recv()
        except EOFError:
            self._process.join()
            raise OrstateError(f"{self._name}: its process died with exit code {self._process.exitcode}") from None
        if failed:
            raise OrstateError(f"{self._name}: {value}")
        return value


def _live(connection: Connection, make: Callable[..., Peer], arguments: tuple[Any, ...]) -> None:
    try:
        peer = make(*arguments)
    except Exception as error:
        connection.send((True, f"{type(error).__name__}: {error}"))
        return
    connection.send((False, None))
    try:
        while True:
            method, given = connection.recv()
            try:
                connection.send((False, getattr(peer, method)(*given)))
            except Exception as error:
                connection.send((True, f"{type(error).__name__}: {error}"))
    except EOFError:  # the benchmark has closed its end, or is gone
        peer.close()
