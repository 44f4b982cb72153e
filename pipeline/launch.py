"""Starts `run_pipeline.py run` beside one's own process and follows its events. Runs in a client's process.

The instance holds the other end of our standard-input pipe: when this process ends, however it ends, the
instance finishes its work and stops.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Final

from pipeline import events
from pipeline.config import ROOT
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.segment import remove_orphans

PROGRAM: Final = (sys.executable, str(ROOT / "run_pipeline.py"))
KEPT = 10_000  # events: dead letters may come for days


class Launch:
    """One launched instance, in a run directory of its own. `on_event` is called in the thread that reads.

    `program`: the command line in front of the subcommand, for one that is started by another command.
    """

    def __init__(
        self,
        config: Path | None = None,
        model: str | None = None,
        settings: Iterable[str] = (),
        stderr: IO[bytes] | int | None = None,
        on_event: Callable[[events.AnyEvent], None] = lambda _: None,
        resume: Path | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.events: list[events.AnyEvent] = []  # the newest
        self.ready: events.Ready | None = None  # says where everything is, once it came
        self.model: events.Model | None = None  # the newest
        self.exit_code: int | None = None
        self._on_event = on_event
        self._directory = Path(tempfile.mkdtemp(prefix="orstate-"))
        command = [*program, "run", "--with-launcher", "--events"]
        command += ["--config", str(config)] if config else []
        command += ["--model", model] if model else []
        command += ["--resume", str(resume)] if resume else []
        for setting in (*settings, f"run.directory={self._directory}"):
            command += ["--set", setting]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
        )
        self._changed = threading.Condition()
        self.over = False  # it ended, wanted or not
        self._reader = threading.Thread(target=self._read, daemon=True, name="orstate-events")
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def wait_ready(self, timeout_s: float) -> events.Ready:
        """Wait until messages are taken. Raises OrstateError if the instance ends or takes longer."""
        with self._changed:
            self._changed.wait_for(lambda: self.ready is not None or self.over, timeout_s)
        if self.ready is None:
            self.stop()
            how = f"ended with exit code {self.exit_code}" if self.over else f"was not ready after {timeout_s:g} s"
            failures = [event.failure for event in self.events if isinstance(event, events.Stopped)]
            raise OrstateError(f"the sidecar {how}: {failures[-1] if failures else 'see its standard error'}")
        return self.ready

    def wait_model(self, timeout_s: float) -> events.Model:
        """Wait until the model is loaded or known not to load. Raises OrstateError if that takes longer."""
        settled = ("ready", "unavailable")
        with self._changed:
            self._changed.wait_for(lambda: self.over or (self.model and self.model.state in settled), timeout_s)
        if self.model is None or self.model.state not in settled:
            raise OrstateError(f"the model was not loaded after {timeout_s:g} s")
        return self.model

    def stop(self, timeout_s: float = 60.0) -> int:
        """Let it finish its work and end; its exit code. Once more is no error.

        After `timeout_s` it is killed; what a killed instance leaves behind is removed.
        """
        if self.exit_code is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self.exit_code = self._process.returncode
            remove_orphans()
            shutil.rmtree(self._directory, ignore_errors=True)
        return self.exit_code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = events.EVENTS.decode(line)
            except UNDECODABLE:
                continue  # an event of a newer version
            with self._changed:
                self.events.append(event)
                del self.events[:-KEPT]
                self.ready = event if isinstance(event, events.Ready) else self.ready
                self.model = event if isinstance(event, events.Model) else self.model
                self._changed.notify_all()
            self._on_event(event)
        with self._changed:
            self.over = True
            self._changed.notify_all()
