"""What goes out: states to subscribers, answers to clients, dead letters to the operator. Status: see `status`."""

from typing import Any

from pipeline.messages.fields import Message, Outcome, RequestId, SessionId


class SurgeryState(Message, frozen=True, kw_only=True):
    """The state of one session. `state` keeps the contract in configs/schema/surgery_state.schema.json.

    `seq` counts the session's published states without gaps; `based_on` is the `seq` of the newest input.
    """

    session: SessionId  # its session
    seq: int  # counts the session's states, from 1; what a subscriber lacks, it has missed
    t: float  # message time of the newest input
    based_on: int  # `seq` of that input, as its publisher counted
    place: int = 0  # inputs of the session that the pipeline had taken then; it counts on over restarts
    outcome: Outcome  # of the question to the model
    degraded: bool  # the model's part is missing; `outcome` says why
    state: dict[str, Any]  # the contract
    received_ns: int = 0  # monotonic: when the prompt process had the input; comparable on one machine
    timings: dict[str, float] = {}  # milliseconds


class LLMResponse(Message, frozen=True, kw_only=True):
    """The one answer to an `LLMRequest`. `output` keeps the contract; None only when `rejected`."""

    request_id: RequestId  # that of the question
    outcome: Outcome  # of the question
    success: bool  # the model's answer was taken: `outcome` is `ok`
    degraded: bool  # the model's part is missing: this is by the rules
    output: dict[str, Any] | None = None  # the contract, as in a state
    error: str = ""  # what went wrong, and what to do
    model_name: str = ""  # the manifest's name; empty if no model answered
    processing_time_ms: float = 0.0  # from its arrival to the answer
    timings: dict[str, float] = {}  # milliseconds per stage


class DeadLetter(Message, frozen=True, kw_only=True):
    """A message that could not be taken: counted by `reason`, journalled, and shown."""

    reason: str  # a short name, by which they are counted
    error: str  # what is wrong, in words
    source: str  # the socket it came by
    head: str = ""  # its first characters


class Description(Message, frozen=True, kw_only=True):
    """The endpoints of a pipeline and the rings for frames."""

    ingress: tuple[str, ...]  # where publishers connect their PUB sockets
    states: str  # where SUB sockets connect
    frames: tuple[str, ...]  # names of the rings in shared memory, one for each video process
    version: str  # of the pipeline
