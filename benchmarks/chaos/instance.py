"""A launched pipeline as a scenario holds it: asked, watched, and looked after when it is gone. In the scenario's
process.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil
import zmq

from pipeline import events
from pipeline.client import Client, States
from pipeline.launch import PROGRAM, Launch
from pipeline.messages import LLMRequest, LLMResponse, Status
from pipeline.segment import folder, segment_name
from pipeline.sockets import Context, make_socket
from pipeline.wire_format import frames_of, read_answer

WAIT_S = 60.0  # for what comes in less than a second on an idle machine


class Asker:
    """Asks many requests at one time and keeps all answers that come, so that a second one to a request is seen."""

    def __init__(self, endpoint: str) -> None:
        self.answers: dict[str, list[LLMResponse]] = defaultdict(list)
        self._context: Context = zmq.Context()
        self._socket = make_socket(self._context, zmq.DEALER)
        self._socket.connect(endpoint)

    def ask(self, requests: Iterable[LLMRequest]) -> None:
        """Send them, and wait for nothing."""
        for request in requests:
            self.answers.setdefault(request.request_id, [])
            self._socket.send_multipart(frames_of(request))

    def wait(self) -> Mapping[str, list[LLMResponse]]:
        """The answers by request, once each has one, or none came for WAIT_S."""
        while not all(self.answers.values()) and self._socket.poll(int(1000 * WAIT_S)):
            self._take()
        return self.answers

    def lost(self) -> int:
        """Requests without exactly one answer, with all that has arrived until now."""
        while self._socket.poll(0):
            self._take()
        return sum(len(answers) != 1 for answers in self.answers.values())

    def close(self) -> None:
        """Let go. Once more is no error."""
        self._context.destroy(linger=0)

    def _take(self) -> None:
        answer = read_answer(self._socket.recv_multipart())
        if isinstance(answer, LLMResponse):
            self.answers[answer.request_id].append(answer)


class Instance:
    """A pipeline with its journal in a folder. Leaving the `with` block lets it finish and stops it.

    Raises OrstateError if it cannot be started.
    """

    def __init__(
        self,
        folder: Path,
        *settings: str,
        model: str = "stub",
        program: Sequence[str] = PROGRAM,
        stderr: IO[bytes] | int | None = None,
    ) -> None:
        self._happened = threading.Condition()
        common = (f"run.journal={str(folder / 'journal')!r}", "inference.prefix_cache=", "supervision.status_s=0.2")
        self.launch = Launch(
            model=model, settings=(*common, *settings), stderr=stderr, on_event=self._heard, program=program
        )
        self._family: list[psutil.Process] = []
        try:
            self.ready = self.launch.wait_ready(WAIT_S)
            self.client = Client(self.ready.requests, WAIT_S)
            self.asker = Asker(self.ready.requests)
            self._watching = self.client.states()
        except BaseException:
            self.launch.stop()
            raise

    def states(self, session: str | None = None) -> States:
        """The states of a session, or of all, from now on."""
        return self.client.states(session, WAIT_S)

    def status(self) -> Status:
        """The next status."""
        return self._watching.wait_status(WAIT_S)

    def until_status(self, condition: Callable[[Status], bool]) -> Status:
        """The first status of which that is true."""
        while not condition(status := self.status()):
            pass
        return status

    def until_event(self, condition: Callable[[events.AnyEvent], bool]) -> events.AnyEvent:
        """The first event, of all that came and come, of which that is true."""

        def found() -> events.AnyEvent | None:
            return next((event for event in self.launch.events if condition(event)), None)

        with self._happened:
            event = self._happened.wait_for(found, WAIT_S)
        if event is None:
            raise TimeoutError(f"what was waited for did not happen within {WAIT_S:g} s: {self.launch.events}")
        return event

    def pid(self, stage: str) -> int:
        """The process id of a stage."""
        return self.status().stages[stage].pid

    def deaths(self) -> list[events.StageDied]:
        """Of stages, until now."""
        return [event for event in self.launch.events if isinstance(event, events.StageDied)]

    def dead_letters(self) -> list[str]:
        """The reasons of those that were told until now."""
        return [event.reason for event in self.launch.events if isinstance(event, events.DeadLettered)]

    def finish(self) -> int:
        """Let it finish its work and end; its exit code. Once more is no error."""
        if self.launch.exit_code is None:
            self._family = psutil.Process(self.launch.pid).children(recursive=True)
        code = self.launch.stop()
        self.client.stop_states()
        return code

    def leaks(self) -> int:
        """Processes, segments and run directories that are left after the end."""
        self.finish()
        processes = len(psutil.wait_procs(self._family, WAIT_S)[1])
        segments = len(list(folder().glob(f"{segment_name(self.launch.pid, '')}*")))
        return processes + segments + Path(self.ready.directory).exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        self.asker.close()
        self.client.close()

    def _heard(self, _: events.AnyEvent) -> None:
        with self._happened:
            self._happened.notify_all()


def unmet(promises: Mapping[str, bool]) -> tuple[str, ...]:
    """The promises, in words, that are not kept."""
    return tuple(f"not so: {promise}" for promise, kept in promises.items() if not kept)
