"""What comes in from outside: publishers say what happens in a session, clients ask. Sent to the prompt process."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.messages.fields import (
    Context,
    Line,
    MachineId,
    MachineLists,
    Message,
    Name,
    RequestId,
    Seconds,
    Seq,
    SessionId,
    Unit,
    check_finite,
    check_text,
)


class Input(Message, frozen=True, kw_only=True):
    """What a publisher says of one session. `seq` counts per session and publisher, from 0 or 1 upwards."""

    session: SessionId
    seq: Seq
    t: Seconds
    publisher: Name = ""

    def __post_init__(self) -> None:
        check_finite("t", self.t)
        check_text(publisher=self.publisher)


class SessionStart(Input, frozen=True, kw_only=True):
    """A surgery begins, or the surgery of a running session changes. `started_at`: Unix time of t = 0."""

    surgery: Name
    started_at: Annotated[float, Meta(ge=0.0, le=1e11)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(surgery=self.surgery)


class SessionEnd(Input, frozen=True, kw_only=True):
    """The session is over; it is forgotten once its last question is answered."""

    reason: Annotated[str, Meta(max_length=500)] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(reason=self.reason)


class Transcript(Input, frozen=True, kw_only=True):
    """One line of speech. A line with `is_final=False` may still change and moves nothing."""

    text: Line
    speaker: Name = "unknown"
    is_final: bool = True
    source: Literal["asr", "override", "system", "rule"] = "asr"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(text=self.text, speaker=self.speaker)


class FrameRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a shared-memory frame ring the pixels lie: an array of `shape` and `dtype`, C order."""

    ring: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+\Z")]
    slot: Annotated[int, Meta(ge=0, le=65_535)]
    generation: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=65_536)], ...], Meta(min_length=1, max_length=4)]
    dtype: Literal["uint8", "uint16", "float16", "float32"] = "uint8"


class Observation(Input, frozen=True, kw_only=True):
    """What a video process saw.

    `label` is a phase id or name (kind phase), a machine id, name or alias (kind machine, `value` its action),
    or free words (kinds instrument and event).
    """

    kind: Literal["phase", "machine", "instrument", "event"]
    label: Annotated[str, Meta(min_length=1, max_length=128)]
    value: Annotated[str, Meta(max_length=128)] = ""
    confidence: Unit = 1.0
    frame: FrameRef | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite("confidence", self.confidence)
        check_text(label=self.label, value=self.value)


class Override(Input, frozen=True, kw_only=True):
    """A human sets a machine. The setting holds against rules and model until RELEASE."""

    machine: MachineId
    action: Literal["ON", "OFF", "STANDBY", "RELEASE"]
    reason: Annotated[str, Meta(max_length=500)] = ""
    operator: Name = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(reason=self.reason, operator=self.operator)


class LLMRequest(Message, frozen=True, kw_only=True):
    """A question on its own: it brings its context and gets exactly one `LLMResponse` before its deadline."""

    request_id: RequestId
    surgery: Name
    session: SessionId = "request"
    transcript_context: Context = ""
    current_phase: Name = ""
    session_time_s: Seconds = 0.0
    current_machines: MachineLists = {}
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 30_000

    def __post_init__(self) -> None:
        check_finite("session_time_s", self.session_time_s)
        check_text(surgery=self.surgery, transcript_context=self.transcript_context, current_phase=self.current_phase)


class Describe(Message, frozen=True, kw_only=True):
    """A client asks at the request endpoint where the rest is."""
