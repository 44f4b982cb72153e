"""A server program as a child process: started on a free port, waited for until it is healthy, and stopped."""

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO

from pipeline.errors import OrstateError

HOST = "127.0.0.1"
LOOK_S = 0.05  # between two looks whether it is healthy
STOP_S = 10.0
SHOWN_BYTES = 2000  # of what a server wrote before it died


class ServerProcess:
    """A running server. Its output is kept in a file without a name, to be shown if it dies."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] = os.environ, start_s: float = 120.0
    ) -> None:
        """Starts `command` with `--host` and `--port`; waits until `GET /health` answers 200.

        Raises OrstateError if it cannot be started; and, with the end of what it wrote, if it dies or is not healthy
        within `start_s`.
        """
        self.port = _free_port()
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the server runs
        try:
            self._process = subprocess.Popen(
                [*command, "--host", HOST, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )
        except OSError as error:
            self._output.close()
            raise OrstateError(f"{command[0]}: cannot be started: {error.strerror}") from error
        try:
            self._wait_healthy(command[0], start_s)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End it, by force if it does not end when asked. Called once more is no error."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()

    def _wait_healthy(self, program: str, start_s: float) -> None:
        end = time.monotonic() + start_s
        while not self._healthy():
            try:
                code = self._process.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    raise OrstateError(
                        f"{program}: not healthy {start_s:g} s after its start; it wrote: {self._written()}"
                    ) from None
            else:
                raise OrstateError(f"{program}: ended at its start with exit code {code}; it wrote: {self._written()}")

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _written(self) -> str:
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - SHOWN_BYTES))
        return self._output.read().decode(errors="replace").strip() or "nothing"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
