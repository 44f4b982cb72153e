"""A process of ours beside a pipeline, such as its page: started when that is ready, and again if it dies.

Runs in the pipeline's main process. The process beside it holds the other end of a pipe and ends with it, however this
one ends. It has a process group of its own, so that Ctrl-C does not end it before the work is finished that it shows.
"""

import subprocess
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from pipeline import events

REST_S: Final = 2.0  # before it is started again
LEAVE_S: Final = 5.0
BAD_CONFIGURATION: Final = 2  # exit code: starting again would not help


class Beside:
    """The process of that name, by its command line; none if that is empty."""

    def __init__(self, name: str, command: Sequence[str], tell: Callable[[str], None]) -> None:
        self._name, self._command, self._tell = name, command, tell
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeping: threading.Thread | None = None
        self._starting = threading.Lock()

    def follow(self, event: events.Event) -> None:
        """Start it once the pipeline is ready."""
        if self._command and self._keeping is None and isinstance(event, events.Ready):
            self._keeping = threading.Thread(target=self._keep, name=self._name, daemon=True)
            self._keeping.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with self._starting:
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._keeping is not None:
            self._keeping.join()

    def _keep(self) -> None:
        while True:
            with self._starting:
                if self._over.is_set():
                    return
                process = self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
            code = process.wait()
            if self._over.is_set():
                return
            again = code != BAD_CONFIGURATION
            self._tell(
                f"{self._name} process {process.pid} ended (exit code {code})" + ("; it is started again" * again)
            )
            if not again or self._over.wait(REST_S):
                return
