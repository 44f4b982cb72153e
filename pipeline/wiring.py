"""The whole topology on one page: which queue goes from where to where, and what each stage is connected to.

publishers --PUB--> ingress  [prompt] --jobs--> [inference] --completions--> [parse] --PUB--> states
clients  --DEALER-> requests [prompt] --outcomes--------------------------->  [parse]
                             [prompt] <--verdicts---------------------------  [parse]
"""

from pathlib import Path
from typing import Literal

import msgspec
import zmq

from pipeline.board import Board
from pipeline.codec import encode, type_name
from pipeline.config import Config
from pipeline.connections import Wiring
from pipeline.control import StageName
from pipeline.egress import Answers, JournalOnly, Publisher
from pipeline.errors import OrstateError
from pipeline.frames import FrameReader, Overwritten
from pipeline.guard import Guard
from pipeline.ingress import HARD_LIMIT, Arrival, Requests, Subscription
from pipeline.journal import Journal
from pipeline.messages import (
    Cancel,
    Completion,
    Description,
    Input,
    Learned,
    LLMResponse,
    Observation,
    PromptJob,
    RuleOutcome,
    Status,
    SurgeryState,
    Verdict,
)
from pipeline.queue import Receiver, Sender
from pipeline.ring import Ring
from pipeline.segment import Segment
from pipeline.sockets import SUBSCRIPTION_BYTES, Context, Socket, make_socket
from pipeline.stage_journal import StageJournal

QueueName = Literal["jobs", "outcomes", "completions", "verdicts"]
QUEUES: dict[QueueName, StageName] = {  # and who reads it
    "jobs": "inference",
    "outcomes": "parse",
    "completions": "parse",
    "verdicts": "prompt",
}
VERSION = "0.1.0"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells a stage process at its start."""

    config: Config
    directory: str
    control: str
    segments: dict[str, str]  # of queues by name, and of the board
    frames: tuple[str, ...]
    journal: str  # folder, or "" for none
    incarnation: int  # starts of the process before this one, also those of a run that is resumed

    def ipc(self, name: str) -> str:
        """The endpoint of that name in the run directory."""
        return f"ipc://{self.directory}/{name}"

    def endpoint(self, setting: str, name: str) -> str:
        """A configured endpoint; "ipc" means one in the run directory."""
        return self.ipc(name) if setting == "ipc" else setting

    def description(self) -> Description:
        """What clients are told."""
        ingress = self.config.ingress
        return Description(
            ingress=(self.endpoint(ingress.bind, "ingress"),) if ingress.bind else (),
            states=self.endpoint(self.config.egress.states, "states"),
            frames=self.frames,
            version=VERSION,
        )


def wire(name: StageName, place: Place, context: Context, control: Socket, guard: Guard) -> Wiring:
    """The connections of a stage; `guard` is at the outer ones.

    Raises OrstateError if one cannot be made, which names the key of an endpoint.
    """
    board = Board(Segment.attach(place.segments["board"]))
    if name == "prompt":
        return _prompt(place, context, control, board, guard)
    if name == "inference":
        completions = _sender(place, context, "completions")
        return Wiring(
            control=control,
            board=board,
            inputs=[_receiver(place, context, "jobs")],
            outputs={Completion: completions},
            to={"parse": completions},
        )
    egress = place.config.egress
    states = make_socket(context, zmq.XPUB, high_water_mark=egress.high_water_mark, max_bytes=SUBSCRIPTION_BYTES)
    publisher = Publisher(states, place.endpoint(egress.states, "states"), egress.encoding == "json", guard)
    verdicts = _sender(place, context, "verdicts")
    journal = _journal(place, "outputs", control)
    return Wiring(
        control=control,
        board=board,
        journal=journal,
        journalled=frozenset({Completion, SurgeryState, Verdict}),
        inputs=[_receiver(place, context, "outcomes"), _receiver(place, context, "completions")],
        outputs={Verdict: verdicts},
        sinks={SurgeryState: publisher, Status: publisher},
        publisher=publisher,
        to={"prompt": verdicts},
        behind_journal=(verdicts,),
        counters=lambda: {
            "dropped.subscriber_full": float(publisher.full),
            "subscriptions_now": float(publisher.subscriptions),
            **(journal.counters() if journal is not None else {}),
            **guard.counters(),
        },
    )


def _prompt(place: Place, context: Context, control: Socket, board: Board, guard: Guard) -> Wiring:
    ingress = place.config.ingress
    hard_limit = HARD_LIMIT * ingress.max_message_bytes
    subscription = Subscription(
        make_socket(context, zmq.SUB, high_water_mark=ingress.high_water_mark, max_bytes=hard_limit),
        ingress.connect,
        place.endpoint(ingress.bind, "ingress"),
        ingress.max_message_bytes,
        door=guard,
    )
    requests = Requests(
        make_socket(context, zmq.ROUTER, max_bytes=hard_limit),
        place.endpoint(ingress.requests, "requests"),
        ingress.max_message_bytes,
        place.description(),
        guard,
    )
    answers = Answers(requests)
    jobs, outcomes = _sender(place, context, "jobs"), _sender(place, context, "outcomes")
    journal = _journal(place, "inputs", control)
    arrivals = Arrivals(journal, FrameReader(place.frames), place.config.frames.journal)

    def counters() -> dict[str, float]:
        guard.call_again()  # here, because it is to be done now and then
        answers = {name: float(count) for name, count in requests.counters.items()}
        kept = journal.counters() if journal is not None else {}
        return {**arrivals.counters, **answers, **kept, **guard.counters()}

    return Wiring(
        control=control,
        board=board,
        journal=journal,
        journalled=frozenset({PromptJob, Learned, LLMResponse}),
        sources=[subscription, requests],
        feedback=[_receiver(place, context, "verdicts")],
        outputs={PromptJob: jobs, Cancel: jobs, RuleOutcome: outcomes, Completion: outcomes},
        sinks={LLMResponse: answers, Learned: JournalOnly()},
        behind_journal=(answers,),
        to={"parse": outcomes, "inference": jobs},  # in this order: an answer is not to overtake its rules
        no_pressure=(jobs,),
        on_arrival=arrivals.take,
        counters=counters,
    )


class Arrivals:
    """Journals what came in, and looks after the frames that observations point to."""

    def __init__(self, journal: Journal | None, frames: FrameReader, keep_pixels: bool) -> None:
        self._journal = journal
        self._frames = frames
        self._keep_pixels = keep_pixels and journal is not None
        self.counters = {"frames": 0.0, "dropped.frame_overwritten": 0.0, "dropped.frame_unknown": 0.0}

    def take(self, arrival: Arrival) -> None:
        """Called for each message before the stage has it: a record exists before anything follows from it."""
        message = arrival.message
        if self._journal is not None:
            t, seq = (message.t, message.seq) if isinstance(message, Input) else (message.session_time_s, 0)
            self._journal.write(type_name(message), arrival.payload, t, seq)
        if isinstance(message, Observation) and message.frame is not None:
            self._frame(message)

    def _frame(self, observation: Observation) -> None:
        ref = observation.frame
        assert ref is not None
        self.counters["frames"] += 1
        try:
            pixels = self._frames.view(ref)
            if self._keep_pixels and self._journal is not None:
                payload = msgspec.msgpack.encode({"frame": ref, "pixels": pixels.tobytes()})
                self._frames.check(ref)
                self._journal.write("Frame", payload, observation.t, observation.seq)
            self._frames.release(ref)
        except Overwritten:
            self.counters["dropped.frame_overwritten"] += 1
        except OrstateError:
            self.counters["dropped.frame_unknown"] += 1


def _sender(place: Place, context: Context, queue: QueueName) -> Sender:
    socket = make_socket(context, zmq.DEALER, high_water_mark=4 * place.config.queues.slots)
    socket.connect(place.ipc(queue))
    return Sender(queue, socket, Ring(Segment.attach(place.segments[queue])), place.config.queues.inline_bytes)


def _receiver(place: Place, context: Context, queue: QueueName) -> Receiver:
    socket = make_socket(context, zmq.DEALER, high_water_mark=4 * place.config.queues.slots)
    socket.bind(place.ipc(queue))
    return Receiver(queue, socket, Ring(Segment.attach(place.segments[queue])))


def _journal(place: Place, part: str, control: Socket) -> StageJournal | None:
    return StageJournal(Path(place.journal), part, lambda said: control.send(encode(said))) if place.journal else None
