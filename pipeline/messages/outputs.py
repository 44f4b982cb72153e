"""What goes out: states to subscribers, answers to clients, dead letters to the operator. Status: see `status`."""

from typing import Any

from pipeline.messages.fields import Message, Outcome, RequestId, SessionId


class SurgeryState(Message, frozen=True, kw_only=True):
    """The state of one session. `state` keeps the contract in configs/schema/surgery_state.schema.json.

    `seq` counts the session's published states without gaps; `based_on` is the `seq` of the newest input.
    """

    session: SessionId
    seq: int
    t: float
    based_on: int
    place: int = 0  # inputs of the session that the pipeline had taken then; it counts on over restarts
    outcome: Outcome
    degraded: bool
    state: dict[str, Any]
    received_ns: int = 0  # monotonic: when the prompt process had the input; comparable on one machine
    timings: dict[str, float] = {}  # milliseconds


class LLMResponse(Message, frozen=True, kw_only=True):
    """The one answer to an `LLMRequest`. `output` keeps the contract; None only when `rejected`."""

    request_id: RequestId
    outcome: Outcome
    success: bool
    degraded: bool
    output: dict[str, Any] | None = None
    error: str = ""
    model_name: str = ""
    processing_time_ms: float = 0.0
    timings: dict[str, float] = {}  # milliseconds per stage


class DeadLetter(Message, frozen=True, kw_only=True):
    """A message that could not be taken: counted by `reason`, journalled, and shown."""

    reason: str
    error: str
    source: str  # the socket it came by
    head: str = ""  # its first characters


class Description(Message, frozen=True, kw_only=True):
    """The endpoints of a pipeline and the rings for frames."""

    ingress: tuple[str, ...]
    states: str
    frames: tuple[str, ...]
    version: str
