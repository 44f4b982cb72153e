"""The loop that runs one stage: block for one message, then drain; hand on; give slots back. In each stage process.

Reading stops while the stage does not accept, or while what it gave out waits for slots of the next stage:
pressure goes back to the publishers. Answers to the stage's own questions (`feedback`) are read always.
"""

import math
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
import zmq

from pipeline import control
from pipeline.codec import decode_inner, encode, type_name
from pipeline.connections import Source, Wiring
from pipeline.control import StageName
from pipeline.errors import UNDECODABLE, Rejected
from pipeline.ingress import Arrival
from pipeline.messages import Completion, JobLost, Message, ModelChanged, PromptJob
from pipeline.queue import Receiver
from pipeline.reporter import Reporter
from pipeline.restore import Restored
from pipeline.stage import Stage

JOURNAL = "journal"  # where messages of a process before this one come from
STEPS = 2  # of the stage before messages are looked for again: one admits, one works
BURST = 64  # messages of one input before the others have their turn
WAKE_S = 1.0  # longest wait without a sign of life on the board
QUIET_S = 0.25  # nothing came for so long: what was sent before a drain began is no longer on its way
GIVE_BACK_S = 0.05  # how long a slot may wait for others to go back with it


class Loop:
    """One stage at work."""

    def __init__(self, name: StageName, stage: Stage, wiring: Wiring, report_s: float) -> None:
        self._name = name
        self._stage = stage
        self._wiring = wiring
        self._reporter = Reporter(wiring.control, wiring.journal, report_s)
        self._poller = zmq.Poller()
        self._senders = list(wiring.to.values())
        self._receivers = [*wiring.inputs, *wiring.feedback]
        self._at_once = [sender for sender in self._senders if sender not in wiring.behind_journal]
        self._sinks = [sink for sink in wiring.sinks.values() if sink not in wiring.behind_journal]
        self._pressing = [sender for sender in self._senders if sender not in wiring.no_pressure]
        self._reading = False
        self._drain_asked = False
        self._sources_over = False
        self._quiet_at = math.inf
        self._arrived_before = -1  # when a drain last looked
        self._drained = False
        self._stopping = False
        self._done: list[tuple[Receiver, int, int]] = []  # to be released once their results are sent
        self._jobs: dict[str, tuple[Receiver, int, int]] = {}  # taken, and answered later
        self._arrived = 0
        self._again: Iterator[Message] | None = None  # of a process before this one
        self._arrivals: deque[tuple[str, Arrival]] = deque()  # journalled, and not yet handled
        self._records: list[tuple[str, bytes, float]] = []
        self._give_back_at = math.inf

    def run(self, past: Restored = Restored()) -> None:  # noqa: B008, it holds nothing
        """Work until the supervisor says stop. `past`: of a process before this one, done before anything else."""
        sockets = [self._wiring.control, *(s.socket for s in self._senders), *(r.socket for r in self._wiring.feedback)]
        if self._wiring.publisher is not None:
            sockets.append(self._wiring.publisher.socket)
        for socket in sockets:
            self._poller.register(socket, zmq.POLLIN)
        for sender in self._senders:
            sender.attach()
        self._send_on(past.sent)
        self._again = past.inputs
        self._reporter.tell(control.Ready())
        while not self._stopping:
            self._set_reading(self._may_read())
            self._wiring.board.mark(self._name, time.monotonic_ns())
            self._cycle({socket for socket, _ in self._poller.poll(self._timeout_ms())})
        if self._wiring.publisher is not None:
            self._wiring.publisher.finish()
        self._report()

    def _cycle(self, ready: set[object]) -> None:
        wiring = self._wiring
        if wiring.control in ready:
            self._take_control()
        if wiring.publisher is not None and wiring.publisher.socket in ready:
            wiring.publisher.on_readable()
            self._reporter.due = 0.0  # the supervisor is to know of subscriptions before this process may die
        for sender in self._senders:
            if sender.socket in ready:
                sender.on_readable()
        for receiver in wiring.feedback:
            if receiver.waiting or receiver.socket in ready:
                self._take_all(receiver, always=True)
        for receiver in wiring.inputs:
            if receiver.waiting or receiver.socket in ready:
                self._take_all(receiver)
        self._work_off()
        for source in wiring.sources:
            if source.socket in ready:
                self._take_outside(source)
        for _ in range(STEPS):
            if (wait := self._stage.wait_s()) is None or wait > 0.0:
                break
            self._wiring.board.mark(self._name, time.monotonic_ns(), self._stage.at_work)
            done = list(self._stage.step())
            self._wiring.board.mark(self._name, time.monotonic_ns())  # before anybody has the result: it is over
            self._send_on(done)
            self._flush()
        self._settle()
        if self._drain_asked or any(receiver.ended for receiver in wiring.inputs):
            self._drain()
        if time.monotonic() >= self._reporter.due:
            self._report()

    # --- taking ------------------------------------------------------------------------------------------

    def _may_read(self) -> bool:
        return self._stage.accepting and not any(sender.backlog for sender in self._pressing)

    def _set_reading(self, reading: bool) -> None:
        """What is not to be read is not polled either: it would wake the loop for nothing."""
        if reading != self._reading:
            self._reading = reading
            sockets = [receiver.socket for receiver in self._wiring.inputs]
            sockets += [] if self._sources_over else [source.socket for source in self._wiring.sources]
            for socket in sockets:
                self._poller.register(socket, zmq.POLLIN if reading else 0)

    def _take_all(self, receiver: Receiver, always: bool = False) -> None:
        for _ in range(BURST):
            if not (always or self._may_read()):
                return
            delivery = receiver.receive()
            if delivery is None:
                return
            place = (receiver, delivery.slot, delivery.generation)
            try:
                message = decode_inner(delivery.payload)
            except UNDECODABLE as error:  # a fault of ours in another stage
                self._reporter.dead_letter("internal_error", str(error), receiver.name, delivery.payload)
                self._done.append(place)
                continue
            if always:  # given back even under pressure: the stage that waits for it may be what makes the pressure
                receiver.release(delivery.slot, delivery.generation)
            elif isinstance(message, PromptJob) and message.job_id in self._jobs:  # of a sender that was started anew
                receiver.release(delivery.slot, delivery.generation)
                continue
            elif isinstance(message, PromptJob):
                self._jobs[message.job_id] = place
                if delivery.attempt > 1:
                    message = msgspec.structs.replace(message, alone=True)
            else:
                self._done.append(place)
            self._record(message, delivery.payload)
            self._handle(message, receiver.name, delivery.payload)

    def _take_outside(self, source: Source) -> bool:
        """Take a burst, and have it in the journal before anything follows from it; True if nothing is left."""
        self._work_off()  # first what came before
        if self._again is not None or self._arrivals or not self._may_read():
            return False
        left = True
        for _ in range(BURST):
            try:
                arrival = source.receive()
            except Rejected as rejected:
                self._arrived += 1
                self._reporter.dead_letter(rejected.reason, str(rejected), source.name, rejected.payload)
                continue
            if arrival is None:
                left = False
                break
            self._arrived += 1
            if self._wiring.on_arrival is not None:
                self._wiring.on_arrival(arrival)
            self._arrivals.append((source.name, arrival))
        if self._wiring.journal is not None:
            self._wiring.journal.flush()
        self._work_off()
        self._flush()
        source.confirm()  # last: it wakes the publisher, who would take a core from what follows from its message
        return not left and not self._arrivals

    def _work_off(self) -> None:
        for _ in range(BURST):
            if self._again is None or not self._may_read():
                break
            if (message := next(self._again, None)) is None:
                self._again = None
            else:
                self._handle(message, JOURNAL, b"")
        while self._again is None and self._arrivals and self._may_read():
            source, arrival = self._arrivals.popleft()
            self._handle(arrival.message, source, arrival.payload)

    def _handle(self, message: Message, source: str, payload: bytes) -> None:
        self._wiring.board.mark(self._name, time.monotonic_ns(), (type_name(message),))
        try:
            self._send_on(self._stage.handle(message))
            return
        except Rejected as rejected:
            if source != JOURNAL:  # else it was told then
                self._reporter.dead_letter(rejected.reason, str(rejected), source, payload)
        except Exception as error:  # a fault of ours on one message: shown in full, and the others go on
            traceback.print_exc()
            self._reporter.dead_letter("internal_error", f"{type(error).__name__}: {error}", source, payload)
        if isinstance(message, PromptJob) and message.job_id in self._jobs:
            self._done.append(self._jobs.pop(message.job_id))  # no answer will give its slot back

    # --- handing on --------------------------------------------------------------------------------------

    def _send_on(self, messages: Iterable[Message]) -> None:
        wiring = self._wiring
        for message in messages:
            kind = type(message)
            if kind is ModelChanged:  # of the inference stage, which loaded its model again
                self._reporter.tell(message)
                continue
            sink = wiring.sinks.get(kind)
            payload = encode(message) if sink is None else sink.encode(message)
            if sink is None:
                wiring.outputs[kind].send(payload, getattr(message, "job_id", ""))
            else:
                sink.send(message, payload)
            self._record(message, payload)
            if isinstance(message, Completion) and message.job_id in self._jobs:
                self._done.append(self._jobs.pop(message.job_id))

    def _record(self, message: Message, payload: bytes) -> None:
        """Keep for the journal, which is written when the work is handed on: it is not to delay it."""
        if type(message) in self._wiring.journalled:
            self._records.append((type_name(message), payload, getattr(message, "t", 0.0)))

    def _flush(self) -> None:
        for sink in self._sinks:  # first, so that no answer overtakes the state that it stands in
            sink.flush()
        for sender in self._at_once:
            sender.flush()

    def _settle(self) -> None:
        """Records reach the system before slots go back, and slots only when the results are sent."""
        self._flush()
        if self._wiring.journal is not None and self._records:
            for topic, payload, t in self._records:
                self._wiring.journal.write(topic, payload, t)
            self._records.clear()
            self._wiring.journal.flush()
        for late in self._wiring.behind_journal:
            late.flush()
        if self._done and not any(sender.backlog for sender in self._senders):
            for receiver, slot, generation in self._done:
                receiver.release(slot, generation)
            self._done.clear()
        self._give_back()

    def _give_back(self) -> None:
        """Slots go back in bundles, because each message back wakes its sender: when a quarter is due, or soon."""
        holding = [receiver for receiver in self._receivers if receiver.freed]
        if not holding:
            self._give_back_at = math.inf
            return
        now = time.monotonic()
        self._give_back_at = min(self._give_back_at, now + GIVE_BACK_S)
        late = now >= self._give_back_at
        for receiver in holding:
            if late or 4 * receiver.freed >= receiver.slots:
                receiver.flush()
        if late:
            self._give_back_at = math.inf

    def _drain(self) -> None:
        """When nothing more comes in and all work is done, say so down the pipeline and to the supervisor."""
        wiring = self._wiring
        if self._drain_asked and not self._sources_over and self._is_quiet():
            self._sources_over, self._quiet_at = True, math.inf
            for source in wiring.sources:
                self._poller.register(source.socket, 0)
            self._settle()
        over = self._sources_over if wiring.sources else all(receiver.ended for receiver in wiring.inputs)
        at_rest = self._stage.idle and not self._done and not any(sender.backlog for sender in self._senders)
        if over and at_rest and not self._drained:
            self._drained = True
            for sender in self._senders:
                sender.end()
            self._report()
            self._reporter.tell(control.Drained())

    def _is_quiet(self) -> bool:
        """The word to drain comes by another way than the inputs, and may overtake those that were sent before it."""
        nothing_left = all(self._take_outside(source) for source in self._wiring.sources)
        if not nothing_left or self._arrived != self._arrived_before:
            self._arrived_before = self._arrived
            self._quiet_at = time.monotonic() + QUIET_S
        return time.monotonic() >= self._quiet_at

    # --- the supervisor ----------------------------------------------------------------------------------

    def _take_control(self) -> None:
        while True:
            try:
                message = control.TO_STAGE.decode(self._wiring.control.recv(zmq.NOBLOCK))
            except zmq.Again:
                return
            if isinstance(message, control.Stop):
                self._stopping = True
            elif isinstance(message, control.Drain):
                self._drain_asked = True
            elif isinstance(message, control.Peer):
                self._peer_changed(message)
            elif isinstance(message, control.Publish):
                self._send_on([message.status])
            elif isinstance(message, ModelChanged):
                self._handle(message, "control", b"")

    def _peer_changed(self, peer: control.Peer) -> None:
        sender = self._wiring.to.get(peer.stage)
        if sender is None:
            return
        if peer.state == "ready":
            sender.attach()
            self._send_on(self._stage.met(peer.stage))
            return
        sender.detach()
        for payload, attempts in sender.suspect(peer.at_work, _is_late):
            job = decode_inner(payload)
            if not isinstance(job, PromptJob):
                continue
            reason, error = "crashed_twice", f"the {peer.stage} process died twice while it worked on {job.job_id}"
            if attempts == 1:
                reason = "crashed_late"
                error = f"the {peer.stage} process died while it worked on {job.job_id}, whose deadline has passed"
            self._reporter.dead_letter(reason, error, sender.name, payload)
            job = msgspec.structs.replace(job, alone=job.alone or attempts > 1)
            self._handle(JobLost(job=job, error=error), "control", payload)

    def _report(self) -> None:
        if self._wiring.journal is not None:  # it may have to try again, though nothing new comes
            self._wiring.journal.flush()
        counters = {**self._stage.counters(), **self._wiring.counters(), "arrived": float(self._arrived)}
        self._reporter.report(counters, self._senders, self._receivers)

    def _timeout_ms(self) -> int:
        if any(receiver.waiting for receiver in (self._receivers if self._reading else self._wiring.feedback)):
            return 0
        if self._again is not None and self._may_read():
            return 0
        due = min(self._reporter.due, self._give_back_at, self._quiet_at) - time.monotonic()
        wait = self._stage.wait_s()
        return math.ceil(1000 * max(0.0, min(WAKE_S, due, math.inf if wait is None else wait)))


def _is_late(payload: bytes) -> bool:
    """Whether nobody waits any more for that job: tried again it would not be worked on, and never be found guilty."""
    job = decode_inner(payload)
    return isinstance(job, PromptJob) and job.deadline_ns is not None and job.deadline_ns <= time.monotonic_ns()
