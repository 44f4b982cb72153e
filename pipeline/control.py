"""What the supervisor and the stages say to each other over the control socket, and what it makes public of it.

stage -> supervisor   Hello, Ready, ModelChanged, Report, Notice, JournalState, Drained
supervisor -> stage   Welcome, Peer, ModelChanged, Publish, Drain, Stop
"""

import hashlib
import json
from typing import Literal

import msgspec

from pipeline import messages
from pipeline.messages import DeadLetter, Message, ModelChanged, Status

StageName = Literal["prompt", "inference", "parse"]
STAGES: tuple[StageName, ...] = ("prompt", "inference", "parse")


def schema_hash() -> str:
    """A fingerprint of all message types: processes of different versions must not talk to each other.

    Bounds are compared as numbers: typing takes the equal Annotated types of le=1 and le=1.0 for one, and which of them
    a process has depends on what it imported first.
    """
    known = (*vars(messages).values(), *globals().values())
    types = dict.fromkeys(v for v in known if isinstance(v, type) and issubclass(v, Message))
    schema = msgspec.json.schema_components(types)
    plain = json.loads(msgspec.json.encode(schema), parse_int=float)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


class Hello(Message, frozen=True, kw_only=True):
    """The first word of a stage process."""

    pid: int
    schema: str


class Welcome(Message, frozen=True, kw_only=True):
    """The supervisor takes the stage in; it may load and attach now.

    For the one that publishes: `subscriptions` are to come within `wait_s`, those of the process before it or, where a
    run is resumed, that of its launcher.
    """

    model: ModelChanged
    subscriptions: int = 0
    wait_s: float = 1.0  # ZeroMQ tries to connect again every half second at most


class Ready(Message, frozen=True, kw_only=True):
    """The stage takes messages."""


class Peer(Message, frozen=True, kw_only=True):
    """Another stage died or is ready. `at_work`: the jobs that it was working on when it died."""

    stage: StageName
    state: Literal["down", "ready"]
    at_work: tuple[str, ...] = ()


class Report(Message, frozen=True, kw_only=True):
    """A stage's counters."""

    counters: dict[str, float]


class Notice(Message, frozen=True, kw_only=True):
    """A dead letter of a stage, for the operator."""

    letter: DeadLetter


class JournalState(Message, frozen=True, kw_only=True):
    """A stage's journal cannot be written, or (without an error) is written again. `lost`: records until now."""

    error: str = ""
    lost: int = 0


class Publish(Message, frozen=True, kw_only=True):
    """Parse owns the PUB socket: it sends the status for the supervisor."""

    status: Status


class Drain(Message, frozen=True, kw_only=True):
    """Take nothing new from outside, finish what was taken, pass it on."""


class Drained(Message, frozen=True, kw_only=True):
    """All work of the stage is done and handed on."""


class Stop(Message, frozen=True, kw_only=True):
    """Leave now."""


FROM_STAGE = msgspec.msgpack.Decoder(Hello | Ready | ModelChanged | Report | Notice | JournalState | Drained)
TO_STAGE = msgspec.msgpack.Decoder(Welcome | Peer | ModelChanged | Publish | Drain | Stop)
