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

    session: SessionId  # the session it is about
    seq: Seq  # counts this publisher's messages of the session; what is left out is a gap
    t: Seconds  # when it happened: seconds since the session began
    publisher: Name = ""  # who counts `seq`; those who share a session take different names

    def __post_init__(self) -> None:
        check_finite("t", self.t)
        check_text(publisher=self.publisher)


class SessionStart(Input, frozen=True, kw_only=True):
    """A surgery begins, or the surgery of a running session changes. `started_at`: Unix time of t = 0."""

    surgery: Name  # name of a configured surgery, in any case
    # Unix time of `t` = 0; null: the time when it arrives
    started_at: Annotated[float, Meta(ge=0.0, le=1e11)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(surgery=self.surgery)


class SessionEnd(Input, frozen=True, kw_only=True):
    """The session is over; it is forgotten once its last question is answered."""

    reason: Annotated[str, Meta(max_length=500)] = ""  # for the record

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(reason=self.reason)


class Transcript(Input, frozen=True, kw_only=True):
    """One line of speech. A line with `is_final=False` may still change and moves nothing."""

    text: Line  # what was said
    speaker: Name = "unknown"  # who said it; a patient or a student switches nothing
    is_final: bool = True  # false: the line may still change
    source: Literal["asr", "override", "system", "rule"] = "asr"  # where the line comes from; for the record

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(text=self.text, speaker=self.speaker)


class FrameRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a shared-memory frame ring the pixels lie: an array of `shape` and `dtype`, C order."""

    # its name, as the Description has it
    ring: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+\Z")]
    slot: Annotated[int, Meta(ge=0, le=65_535)]  # of the ring
    # how often the slot was written: one that was written again is known by it
    generation: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    # height, width, channels, say
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=65_536)], ...], Meta(min_length=1, max_length=4)]
    dtype: Literal["uint8", "uint16", "float16", "float32"] = "uint8"  # of an element, in the machine's byte order


class Observation(Input, frozen=True, kw_only=True):
    """What a video process saw.

    `label` is a phase id or name (kind phase), a machine id, name or alias (kind machine, `value` its action),
    or free words (kinds instrument and event).
    """

    kind: Literal["phase", "machine", "instrument", "event"]  # what was seen
    label: Annotated[str, Meta(min_length=1, max_length=128)]  # which phase, machine, instrument or event
    value: Annotated[str, Meta(max_length=128)] = ""  # of a machine: ON, OFF, STANDBY, true, false, 1 or 0; else free
    # how sure the video process is; below `prompt.observation_confidence` only the model is told
    confidence: Unit = 1.0
    frame: FrameRef | None = None  # the pixels, if they lie in shared memory

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite("confidence", self.confidence)
        check_text(label=self.label, value=self.value)


class Override(Input, frozen=True, kw_only=True):
    """A human sets a machine. The setting holds against rules and model until RELEASE."""

    machine: MachineId  # its id
    action: Literal["ON", "OFF", "STANDBY", "RELEASE"]  # RELEASE lets rules and model set it again
    reason: Annotated[str, Meta(max_length=500)] = ""  # for the record
    operator: Name = ""  # who says it; for the record

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(reason=self.reason, operator=self.operator)


class LLMRequest(Message, frozen=True, kw_only=True):
    """A question on its own: it brings its context and gets exactly one `LLMResponse` before its deadline."""

    request_id: RequestId  # made up by the client; asked again under it, the same answer comes
    surgery: Name  # name of a configured surgery, in any case
    session: SessionId = "request"  # a name for the record; no session's state is used or changed
    transcript_context: Context = ""  # lines such as "[12.5s] Surgeon: suction on"; the rules read them too
    current_phase: Name = ""  # its id; empty: the first
    session_time_s: Seconds = 0.0  # message time of the question
    current_machines: MachineLists = {}  # on ("1"), off ("0"); the others are as by default
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 30_000  # by then there is an answer, by the rules if need be

    def __post_init__(self) -> None:
        check_finite("session_time_s", self.session_time_s)
        check_text(surgery=self.surgery, transcript_context=self.transcript_context, current_phase=self.current_phase)


class Describe(Message, frozen=True, kw_only=True):
    """A client asks at the request endpoint where the rest is."""
