"""Starts, watches, restarts and stops the three stages. Runs in the main process of `run_pipeline.py run`.

One poller waits for the control socket, for the sentinels of the stage processes and for the launcher; signal
handlers only take a note.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import zmq

from pipeline import control, events, retention
from pipeline.codec import encode
from pipeline.config import Config, resolve
from pipeline.control import STAGES, StageName
from pipeline.event_writer import EventWriter
from pipeline.messages import Message, ModelChanged
from pipeline.resources import Resources
from pipeline.service import Service
from pipeline.sockets import make_socket
from pipeline.stage_process import StageProcess, last_lines
from pipeline.status import Overview, sentence

TICK_MS = 100
LAUNCHER_S = 10.0  # for the launcher of a resumed run to subscribe
STOP_S = 5.0  # for a drained stage to leave


class Supervisor:
    """One instance of the pipeline. `tell` hears of everything that a launcher should know; it may block.

    `resume`: the journal folder of a run that ended, however it did: this instance goes on with it.
    """

    def __init__(
        self,
        config: Config,
        tell: Callable[[events.Event], None],
        with_launcher: bool = False,
        resume: Path | None = None,
    ) -> None:
        self._config = config
        self._resume = resume
        self._write = tell
        self._with_launcher = with_launcher  # standard input is the launcher's: its end is a first signal
        self._signals: list[int] = []
        self._failure = ""
        self._announced = False
        self._draining_since: float | None = None
        self._next_status = 0.0
        self._next_prune = 0.0
        self._model = ModelChanged(state="loading")
        self._service = Service({}) if with_launcher else Service()  # a launcher's service is not ours
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()

    def run(self) -> int:
        """Run until told to stop; 0 if all work was finished, 1 if not. Raises OrstateError if it cannot start."""
        resources = Resources(self._config, self._resume)
        self._events = EventWriter(self._write)
        before = [(number, signal.signal(number, self._note)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            self._place, self._board = resources.place, resources.board
            self._control = make_socket(self._context, zmq.ROUTER)
            self._control.bind(self._place.control)
            self._poller.register(self._control, zmq.POLLIN)
            if self._with_launcher:
                self._poller.register(sys.stdin.fileno(), zmq.POLLIN)
            supervision = self._config.supervision
            self._stages = {name: StageProcess(name, self._place, supervision) for name in STAGES}
            self._overview = Overview(self._place.journal)
            try:
                self._supervise()
            finally:
                self._stop_stages()
            self._tell(events.Stopped(failure=self._failure, journal=self._place.journal))
            return 1 if self._failure else 0
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            self._context.destroy(linger=0)
            self._service.close()
            resources.remove()
            self._events.close()

    def _tell(self, event: events.Event) -> None:
        self._events.tell(event)

    # --- the loop ----------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        for stage in self._stages.values():
            self._start(stage)
        while not self._finished():
            ready = dict(self._poller.poll(TICK_MS))
            if self._control in ready:
                self._listen()
            for stage in self._stages.values():
                if stage.sentinel in ready:
                    self._died(stage)
            self._heed_launcher(ready)
            if self._signals and self._draining_since is None:
                self._draining_since = time.monotonic()
                self._service.stopping()
                self._service.takes(self._config.run.drain_s + 2 * STOP_S)
                self._send("prompt", control.Drain())
            self._watch()
            if time.monotonic() >= self._next_status:
                self._publish_status()
            if time.monotonic() >= self._next_prune:
                self._prune()
            self._service.alive()

    def _finished(self) -> bool:
        if len(self._signals) > 1 and not self._failure:
            self._failure = "stopped at once by a second signal"
        return bool(self._failure) or (
            self._draining_since is not None and all(stage.state == "drained" for stage in self._stages.values())
        )

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _heed_launcher(self, ready: dict[object, int]) -> None:
        stdin = sys.stdin.fileno() if self._with_launcher else -1
        if stdin in ready and not os.read(stdin, 4096):
            self._poller.unregister(stdin)
            self._with_launcher = False
            self._signals.append(signal.SIGTERM)

    def _watch(self) -> None:
        for stage in self._stages.values():
            stage.kill_if_hung(self._board)
            # What drains waits for no rest: the stage must say that its input has ended
            if stage.due_s is not None and (self._draining_since is not None or time.monotonic() >= stage.due_s):
                self._start(stage)
        since, limit = self._draining_since, self._config.run.drain_s
        if since is not None and time.monotonic() - since > limit and not self._failure:
            late = ", ".join(stage.name for stage in self._stages.values() if stage.state != "drained")
            self._failure = f"{late} not drained after run.drain_s = {limit:g} s; unfinished work is in the journal"

    # --- stages ------------------------------------------------------------------------------------------

    def _start(self, stage: StageProcess) -> None:
        self._board.mark(stage.name, 0)
        if not self._announced:
            self._service.takes(self._config.supervision.start_s + STOP_S)
        stage.start()
        self._poller.register(stage.sentinel, zmq.POLLIN)

    def _listen(self) -> None:
        while True:
            try:
                sender, payload = self._control.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            stage = next(stage for stage in self._stages.values() if stage.name == sender.decode())
            self._hear(stage, control.FROM_STAGE.decode(payload))

    def _hear(self, stage: StageProcess, message: Message) -> None:
        match message:
            case control.Hello(pid=pid, schema=schema):
                if pid == stage.pid and schema == control.schema_hash():
                    stage.welcome()
                    self._send(stage.name, self._welcome(stage))
                else:  # another version of the code, or a stranger: it is not let in
                    self._send(stage.name, control.Stop())
            case control.Ready():
                self._became_ready(stage)
            case ModelChanged():
                self._model_changed(message)
            case control.Report(counters=counters):
                stage.report(counters)
            case control.Notice(letter=letter):
                self._tell(events.DeadLettered(reason=letter.reason, error=letter.error, source=letter.source))
            case control.JournalState(error=error, lost=lost):
                self._tell(events.JournalChanged(stage=stage.name, error=error, lost=lost))
            case control.Drained():
                stage.state = "drained"

    def _welcome(self, stage: StageProcess) -> control.Welcome:
        if self._resume is not None and self._with_launcher and not stage.restarts:
            return control.Welcome(model=self._model, subscriptions=1, wait_s=LAUNCHER_S)
        return control.Welcome(model=self._model, subscriptions=stage.subscriptions)

    def _became_ready(self, stage: StageProcess) -> None:
        stage.state = "ready"
        self._tell(events.StageReady(stage=stage.name, pid=stage.pid, restarts=stage.restarts))
        self._tell_peers(stage, control.Peer(stage=stage.name, state="ready"))
        if stage.name == "prompt":
            self._send("prompt", self._model)
            if self._draining_since is not None:
                self._send("prompt", control.Drain())
        if not self._announced and all(self._stages[name].state == "ready" for name in ("prompt", "parse")):
            self._announced = True
            self._service.ready()
            place = self._place
            self._tell(
                events.Ready(
                    pid=os.getpid(),
                    directory=place.directory,
                    requests=place.endpoint(self._config.ingress.requests, "requests"),
                    journal=place.journal,
                    description=place.description(),
                )
            )

    def _died(self, stage: StageProcess) -> None:
        self._poller.unregister(stage.sentinel)
        how = stage.ended()
        _, at_work = self._board.read(stage.name)
        log = tuple(last_lines(Path(self._place.directory) / f"{stage.name}.log"))
        self._tell(events.StageDied(stage=stage.name, pid=stage.pid, how=how, at_work=at_work, log=log))
        self._tell_peers(stage, control.Peer(stage=stage.name, state="down", at_work=at_work))
        if stage.name == "inference":
            self._model_changed(ModelChanged(state="down", error=f"the inference process died: {how}"))
        limit = self._config.supervision.restarts_per_minute
        if stage.may_restart():
            self._start(stage)
        elif stage.name == "inference" and limit and not stage.misconfigured:  # the rules carry on without it
            rest_s = stage.rest()
            error = f"the inference process died {limit + 1} times within a minute ({how})"
            self._model_changed(ModelChanged(state="down", error=f"{error}; it is started again in {rest_s:.0f} s"))
        elif not self._failure:
            last = f": {log[-1]}" if log else ""
            self._failure = f"{stage.name} is not started again ({how}{last})"
            if not stage.misconfigured:
                self._failure += f"; supervision.restarts_per_minute = {limit}, restarts {stage.restarts - 1}"

    def _model_changed(self, model: ModelChanged) -> None:
        self._model = model
        self._send("prompt", model)
        self._tell(events.Model(state=model.state, name=model.name, label=model.label, error=model.error))

    def _tell_peers(self, about: StageProcess, peer: control.Peer) -> None:
        for stage in self._stages.values():
            if stage is not about and stage.state in ("ready", "drained"):
                self._send(stage.name, peer)

    def _send(self, stage: StageName, message: Message) -> None:
        if not (self._stages[stage].welcomed or isinstance(message, control.Stop)):
            return  # the first word that it hears must be the answer to its own; when it is ready it is told the rest
        try:
            self._control.send_multipart((stage.encode(), encode(message)), zmq.NOBLOCK)
        except zmq.ZMQError:  # it is dead: the one after it is told all it needs when it becomes ready
            return

    # --- status and the end ------------------------------------------------------------------------------

    def _publish_status(self, final: bool = False) -> None:
        self._next_status = time.monotonic() + self._config.supervision.status_s
        self._overview.dropped["event"] = self._events.dropped
        status = self._overview.status(self._stages, self._model, final=final)
        stopping = self._draining_since is not None
        self._service.status(sentence(status, started=self._announced, stopping=stopping))
        self._send("parse", control.Publish(status=status))

    def _prune(self) -> None:
        self._next_prune = time.monotonic() + retention.EVERY_S
        run = self._config.run
        limited = run.journal and (run.keep_days or run.keep_mb)
        removed = retention.prune(resolve(run.journal), run.keep_days, run.keep_mb) if limited else []
        if removed:
            self._tell(events.JournalsRemoved(folders=tuple(map(str, removed))))

    def _stop_stages(self) -> None:
        self._service.stopping()
        if not self._failure:
            self._publish_status(final=True)
        for stage in self._stages.values():
            self._send(stage.name, control.Stop())
        deadline = time.monotonic() + (STOP_S if not self._failure else 1.0)
        for stage in self._stages.values():
            stage.stop(max(0.0, deadline - time.monotonic()))
        self._listen()  # their last words: what could not be journalled
