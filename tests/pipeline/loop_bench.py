"""A loop in a thread for tests, with the test as its supervisor, publishers and neighbouring stages."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import zmq
from queue_hop import LIMIT_MS, Hop, await_readable, give_back, take, until

from pipeline import control
from pipeline.board import Board
from pipeline.codec import encode, type_name
from pipeline.connections import Wiring
from pipeline.control import StageName
from pipeline.ingress import Subscription
from pipeline.loop import Loop
from pipeline.messages import (
    Completion,
    Message,
    ModelChanged,
    Prompt,
    PromptJob,
    RuleOutcome,
    Transcript,
    Verdict,
)
from pipeline.queue import Receiver, Sender
from pipeline.restore import Past, Restored
from pipeline.segment import segment_name
from pipeline.sockets import Context, Socket, make_socket

NEVER_S = 3600.0
RULES = RuleOutcome(
    session="or1",
    epoch=1,
    number=1,
    seq=1,
    t=0.0,
    surgery="PCNL",
    started_at=0.0,
    machines={},
    set_by={},
    phase="Phase1",
    next_phase="Phase2",
    model="ready",
)


def outcome(seq: int) -> RuleOutcome:
    return msgspec.structs.replace(RULES, seq=seq)


def line(seq: int) -> Transcript:
    return Transcript(session="or1", seq=seq, t=float(seq), text="x")


def job(job_id: str) -> PromptJob:
    prompt = Prompt(form="chat", shared="", transcript="", tail="")
    return PromptJob(job_id=job_id, kind="session", rules=RULES, prompt=prompt, answer="small")


def completion(job_id: str) -> Completion:
    return Completion(job_id=job_id, kind="session", rules=RULES, outcome="ok", text="{}")


def verdict(job_id: str) -> Verdict:
    return Verdict(job_id=job_id, kind="session", session="or1", epoch=1, outcome="ok", t=0.0)


class FakeStage:
    """A stage that answers as the test says, and remembers what it was given."""

    def __init__(self, answer: Callable[[Message], Iterable[Message]] = lambda _: ()) -> None:
        self.answer = answer
        self.handled: list[Message] = []
        self.accepting = True
        self.idle = True
        self.at_work: tuple[str, ...] = ()
        self.at_hand: list[Callable[[], Iterable[Message]]] = []
        self.peers: list[StageName] = []
        self.to_peers: list[Message] = []

    def load(self) -> ModelChanged | None:
        return None

    def met(self, peer: StageName) -> Iterable[Message]:
        self.peers.append(peer)
        return self.to_peers

    def restore(self, past: Past) -> Restored:
        return Restored()

    def handle(self, message: Message) -> Iterable[Message]:
        self.handled.append(message)
        return self.answer(message)

    def step(self) -> Iterable[Message]:
        return self.at_hand.pop(0)()

    def wait_s(self) -> float | None:
        return 0.0 if self.at_hand else None

    def counters(self) -> dict[str, float]:
        return {"handled": float(len(self.handled))}

    def close(self) -> None:
        return


class Running:
    """A loop in a thread, and the supervisor's end of its control socket."""

    def __init__(
        self,
        name: StageName,
        stage: FakeStage,
        bench: "Bench",
        report_s: float,
        past: Restored | None = None,
        **wiring: Any,
    ) -> None:
        self.name = name
        self.stage = stage
        self.board = bench.board
        self.supervisor = bench.supervisor
        socket = make_socket(bench.context, zmq.DEALER)
        socket.setsockopt(zmq.IDENTITY, name.encode())
        socket.connect(bench.endpoint)
        loop = Loop(name, stage, Wiring(control=socket, board=bench.board, **wiring), report_s)
        self._thread = threading.Thread(target=loop.run, args=(past or Restored(),), daemon=True)
        self._thread.start()
        assert isinstance(self.hear(), control.Ready)
        assert isinstance(self.hear(), control.Report)

    def hear(self) -> Message:
        """The next message to the supervisor."""
        await_readable(self.supervisor)
        sender, payload = self.supervisor.recv_multipart()
        assert sender == self.name.encode()
        message: Message = control.FROM_STAGE.decode(payload)
        return message

    def hear_until(self, kind: type[Message]) -> list[Message]:
        """The messages to the supervisor up to the first of a kind."""
        heard = [self.hear()]
        while type(heard[-1]) is not kind:
            heard.append(self.hear())
        return heard

    def tell(self, message: Message) -> None:
        """A message of the supervisor."""
        self.supervisor.send_multipart((self.name.encode(), encode(message)))

    def stop(self) -> control.Report:
        """Stop the loop; its last report."""
        self.tell(control.Stop())
        self._thread.join(LIMIT_MS / 1000)
        assert not self._thread.is_alive()
        reports: list[control.Report] = []
        while self.supervisor.poll(0 if reports else LIMIT_MS):
            message = control.FROM_STAGE.decode(self.supervisor.recv_multipart()[1])
            if isinstance(message, control.Report):
                reports.append(message)
        return reports[-1]


class Bench:
    """What the tests build their neighbourhoods from."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context = context
        self.folder = folder
        self.endpoint = f"ipc://{folder}/control"
        self.supervisor = make_socket(context, zmq.ROUTER)
        self.supervisor.bind(self.endpoint)
        self.board = Board.create(segment_name(os.getpid(), "loop-test"))
        self.running: list[Running] = []
        self.hops: list[Hop] = []

    def hop(self, slots: int) -> Hop:
        """A queue of this neighbourhood."""
        self.hops.append(Hop(self.context, self.folder, slots))
        return self.hops[-1]

    def run(self, name: StageName, stage: FakeStage, report_s: float = NEVER_S, **wiring: Any) -> Running:
        """Start a loop with that wiring."""
        self.running.append(Running(name, stage, self, report_s, **wiring))
        return self.running[-1]

    def publisher(self, source: Subscription) -> Socket:
        """A publisher to whom the source has subscribed. Within a process what it sends has arrived at once."""
        socket = make_socket(self.context, zmq.XPUB)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.connect("inproc://ingress")
        until(lambda: socket.poll(0) > 0, lambda: source.socket.poll(0), socket)
        assert socket.recv() == b"\x01"
        return socket

    def source(self) -> Subscription:
        """The outside of a prompt process."""
        return Subscription(make_socket(self.context, zmq.SUB), (), "inproc://ingress", 10_000)

    def remove(self) -> None:
        """Stop what runs and give everything back."""
        for running in self.running:
            if running._thread.is_alive():
                running.stop()
        for hop in self.hops:
            hop.remove()
        self.board.segment.close()
        self.board.segment.unlink()


class Prompting:
    """A prompt process: publishers -> outcomes (and jobs), verdicts back."""

    def __init__(self, bench: Bench, stage: FakeStage, slots: int = 2, **wiring: Any) -> None:
        outcomes, jobs, verdicts = bench.hop(slots), bench.hop(slots), bench.hop(slots)
        self.job_hop = jobs
        self.job_sender = jobs.sender()
        self.to_parse, self.to_inference = outcomes.sender(), self.job_sender
        self.parse, self.inference = outcomes.receiver(), jobs.receiver()
        self.feedback, self.verdicts = verdicts.receiver(), verdicts.sender()
        source = bench.source()
        self.publisher = bench.publisher(source)
        self.running = bench.run(
            "prompt",
            stage,
            sources=[source],
            feedback=[self.feedback],
            outputs={RuleOutcome: self.to_parse, PromptJob: self.to_inference},
            to={"parse": self.to_parse, "inference": self.to_inference},
            no_pressure=(self.to_inference,),
            **wiring,
        )
        for receiver in (self.parse, self.inference):
            await_readable(receiver.socket)
            assert receiver.receive() is None
        self.verdicts.attach()
        until(lambda: self.verdicts.socket.poll(0) > 0, lambda: None, self.verdicts.socket)
        self.verdicts.on_readable()

    def publish(self, *messages: Message) -> None:
        """As a publisher does."""
        for message in messages:
            self.publisher.send_multipart((type_name(message).encode(), encode(message)))

    def feed_back(self, job_id: str) -> None:
        """A verdict, and wait until its slot has come back."""
        self.verdicts.send(encode(verdict(job_id)))
        self.verdicts.flush()
        until(lambda: self.verdicts.depth + self.verdicts.backlog == 0, self.verdicts.on_readable, self.verdicts.socket)


def echo(message: Message) -> Iterable[Message]:
    """One outcome for each line."""
    return [outcome(message.seq)] if isinstance(message, Transcript) else []


def seqs(receiver: Receiver, number: int) -> list[int]:
    """The numbers of the next outcomes, which are released."""
    deliveries = take(receiver, number)
    give_back(receiver, deliveries)
    return [msgspec.msgpack.decode(delivery.payload, type=RuleOutcome).seq for delivery in deliveries]


def lines_of(stage: FakeStage) -> list[int]:
    return [message.seq for message in stage.handled if isinstance(message, Transcript)]


class Inferring:
    """An inference process: jobs -> completions."""

    def __init__(self, bench: Bench, stage: FakeStage, slots: int = 2, **wiring: Any) -> None:
        jobs, completions = bench.hop(slots), bench.hop(slots)
        self.jobs: Sender = jobs.sender()
        to_parse = completions.sender()
        self.parse: Receiver = completions.receiver()
        self.running = bench.run(
            "inference",
            stage,
            inputs=[jobs.receiver()],
            outputs={Completion: to_parse},
            to={"parse": to_parse},
            **wiring,
        )
        self.answer_attach()
        self.jobs.attach()
        await_readable(self.jobs.socket)
        self.jobs.on_readable()

    def answer_attach(self) -> None:
        """As the parse process does."""
        await_readable(self.parse.socket)
        assert self.parse.receive() is None

    def ask(self, *job_ids: str, attempt: int = 1) -> None:
        """As the prompt process does."""
        for job_id in job_ids:
            self.jobs.send(encode(job(job_id)), job_id, attempt)
        self.jobs.flush()

    def await_released(self, *still_held: str) -> None:
        """Wait until only those jobs are unreleased."""
        until(lambda: set(self.jobs.unreleased()) == set(still_held), self.jobs.on_readable, self.jobs.socket)
