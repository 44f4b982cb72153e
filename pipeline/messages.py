"""Every message that crosses a process border, with the bounds of every field.

Used by all processes and by publishers. A message is a tagged, frozen msgspec Struct, encoded as a map, so
that a newer sender may add fields and an older receiver skips them. Publishers in other languages send the
same maps as JSON or MessagePack with the tag in the key "type".

Times `t` are message times: seconds since the session began, given by the publisher. Stamps are
`time.monotonic_ns()` values, comparable between the processes of one machine.
"""

import math
import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

# Patterns end in \Z: a $ would let a newline through behind the id.
Name = Annotated[str, Meta(max_length=64)]
SessionId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+\Z")]
RequestId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+\Z")]
MachineId = Annotated[str, Meta(pattern=r"^M[0-9]{2}\Z")]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Line = Annotated[str, Meta(max_length=4000)]
Context = Annotated[str, Meta(max_length=20_000)]
Action = Literal["ON", "OFF", "STANDBY"]
MachineLists = dict[Literal["0", "1"], Annotated[list[MachineId], Meta(max_length=99)]]

Outcome = Literal[
    "ok",
    "parse_failed",  # no JSON object in the model's text
    "truncated",  # the model's text was cut off: it reached the limit of tokens before it was whole
    "schema_failed",  # an object, but not a state of this surgery
    "unsafe",  # a text in it reads as control, an interface or a clinical order
    "timeout",  # no answer before the deadline
    "model_unavailable",  # loading, missing or failed to load
    "stage_crashed",  # the inference process died with this job, or is down
    "expired",  # an answer to a question that no longer stands
    "rejected",  # a request that was not accepted: what it asks for does not exist
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

ModelState = Literal["loading", "ready", "unavailable", "down"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _check_text(**texts: str) -> None:
    for name, text in texts.items():
        if found := _CONTROL.search(text):
            code = f"U+{ord(found.group()):04X}"
            raise ValueError(f"{name} has the control character {code} at position {found.start()}; remove it")


def _check_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; give a finite number")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all messages have in common: a tag, keyword arguments, no assignment."""


# --- inputs: what publishers send ------------------------------------------------------------------------


class Input(Message, frozen=True, kw_only=True):
    """What a publisher says of one session. `seq` counts per session and publisher, from 0 or 1 upwards."""

    session: SessionId
    seq: Seq
    t: Seconds
    publisher: Name = ""

    def __post_init__(self) -> None:
        _check_finite("t", self.t)
        _check_text(publisher=self.publisher)


class SessionStart(Input, frozen=True, kw_only=True):
    """A surgery begins, or the surgery of a running session changes. `started_at`: Unix time of t = 0."""

    surgery: Name
    started_at: Annotated[float, Meta(ge=0.0, le=1e11)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(surgery=self.surgery)


class SessionEnd(Input, frozen=True, kw_only=True):
    """The session is over; it is forgotten once its last question is answered."""

    reason: Annotated[str, Meta(max_length=500)] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(reason=self.reason)


class Transcript(Input, frozen=True, kw_only=True):
    """One line of speech. A line with `is_final=False` may still change and moves nothing."""

    text: Line
    speaker: Name = "unknown"
    is_final: bool = True
    source: Literal["asr", "override", "system", "rule"] = "asr"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(text=self.text, speaker=self.speaker)


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
        _check_finite("confidence", self.confidence)
        _check_text(label=self.label, value=self.value)


class Override(Input, frozen=True, kw_only=True):
    """A human sets a machine. The setting holds against rules and model until RELEASE."""

    machine: MachineId
    action: Literal["ON", "OFF", "STANDBY", "RELEASE"]
    reason: Annotated[str, Meta(max_length=500)] = ""
    operator: Name = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(reason=self.reason, operator=self.operator)


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
        _check_finite("session_time_s", self.session_time_s)
        _check_text(surgery=self.surgery, transcript_context=self.transcript_context, current_phase=self.current_phase)


# --- between the stages ----------------------------------------------------------------------------------


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the model in three parts, by how often each changes.

    `shared` is the same for every session of a surgery, `transcript` only grows, `tail` is new each time.
    """

    form: Literal["chat", "completion"]
    shared: str
    transcript: str
    tail: str

    def text(self) -> str:
        """The prompt as one completion string."""
        return f"{self.shared}{self.transcript}{self.tail}"

    def chat(self) -> list[dict[str, str]]:
        """The prompt as chat messages: a system message and a user message."""
        return [
            {"role": "system", "content": self.shared},
            {"role": "user", "content": f"{self.transcript}{self.tail}"},
        ]


class Toggle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One machine set by one cause; the form is the contract's `details.toggles` entry."""

    machine_id: MachineId
    name: str
    action: Action
    trigger: str = ""
    confidence: Unit = 0.0
    match_type: Literal["", "trigger", "alias", "name", "llm"] = ""


class RuleOutcome(Message, frozen=True, kw_only=True):
    """What is known of a session without the model, right after one input: a whole state, not a difference."""

    session: SessionId
    epoch: int  # counts the session's clean starts; an answer of an earlier epoch has expired
    number: int  # grows with each one that is sent, also over restarts; 0 in a request's
    seq: Seq
    t: float
    surgery: str
    started_at: float  # Unix time of t = 0
    machines: dict[str, Action]  # every machine of the surgery
    set_by: dict[str, str]  # default, rule, model, observation or override
    phase: str
    next_phase: str
    model: ModelState
    model_error: str = ""
    toggles: tuple[Toggle, ...] = ()
    negations: tuple[str, ...] = ()
    debounced: tuple[str, ...] = ()
    matched_keywords: tuple[str, ...] = ()
    temporal: str = "none"
    suggestions: tuple[str, ...] = ()
    reasoning: str = ""
    confidence: Unit = 0.0
    buffer_entries: int = 0
    buffer_duration_s: float = 0.0
    overrides_applied: int = 0
    stamps: dict[str, int] = {}


class PromptJob(Message, frozen=True, kw_only=True):
    """One question for the model. `rules` is what was known when it was asked."""

    job_id: str
    kind: Literal["session", "request"]
    rules: RuleOutcome
    prompt: Prompt
    answer: Literal["small", "full"]
    deadline_ns: int | None = None  # monotonic; None: no limit but the stage's own
    alone: bool = False  # it was running when inference died: no other job shares its cycle
    stamps: dict[str, int] = {}


class Cancel(Message, frozen=True, kw_only=True):
    """Nobody waits any more for the answer to that question: it need not be computed."""

    job_id: str


class Certainty(msgspec.Struct, frozen=True, kw_only=True):
    """How sure a model was of its answer, by the probabilities of what it chose among what the grammar allowed.

    `mean_logprob`: of all its choices, natural logarithm. `machines`: of each machine that it listed.
    """

    mean_logprob: float
    phase: Unit
    next_phase: Unit
    machines: dict[MachineId, Unit]


class Completion(Message, frozen=True, kw_only=True):
    """What became of one question: the model's raw text, or why there is none."""

    job_id: str
    kind: Literal["session", "request"]
    rules: RuleOutcome
    outcome: Literal["ok", "timeout", "model_unavailable", "stage_crashed", "expired"]
    text: str = ""
    truncated: bool = False
    error: str = ""
    model: str = ""  # the manifest's name
    label: str = ""  # the manifest's label, as used in `source`
    prompt_tokens: int = 0
    answer_tokens: int = 0
    certainty: Certainty | None = None
    stamps: dict[str, int] = {}


# --- outputs ---------------------------------------------------------------------------------------------


class SurgeryState(Message, frozen=True, kw_only=True):
    """The state of one session. `state` keeps the contract in configs/schema/surgery_state.schema.json.

    `seq` counts the session's published states without gaps; `based_on` is the `seq` of the newest input.
    """

    session: SessionId
    seq: int
    t: float
    based_on: int
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


class Verdict(Message, frozen=True, kw_only=True):
    """Parse tells prompt how a question ended, so that the session learns from it and may ask the next."""

    job_id: str
    kind: Literal["session", "request"]
    session: SessionId
    epoch: int
    outcome: Outcome
    t: float  # message time of the question
    phase: str = ""
    toggles: tuple[Toggle, ...] = ()  # applied model toggles, if the configuration applies them
    response: LLMResponse | None = None


class DeadLetter(Message, frozen=True, kw_only=True):
    """A message that could not be taken: counted by `reason`, journalled, and shown."""

    reason: str
    error: str
    source: str  # the socket it came by
    head: str = ""  # its first characters


class StageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as the supervisor sees it."""

    state: Literal["starting", "ready", "down", "drained", "stopped"]
    pid: int
    restarts: int
    counters: dict[str, float]


class Status(Message, frozen=True, kw_only=True):
    """The pipeline as a whole, published each second and once at the end (`final`)."""

    model: str
    label: str
    model_state: ModelState
    model_error: str
    stages: dict[str, StageStatus]
    journal: str = ""
    final: bool = False


class Describe(Message, frozen=True, kw_only=True):
    """A client asks at the request endpoint where the rest is."""


class Description(Message, frozen=True, kw_only=True):
    """The endpoints of a pipeline and the rings for frames."""

    ingress: tuple[str, ...]
    states: str
    frames: tuple[str, ...]
    version: str


# --- what the stage loop tells a stage ---------------------------------------------------------------------


class ModelChanged(Message, frozen=True, kw_only=True):
    """Inference tells the supervisor, and it the prompt stage: the model can be asked, or why it cannot."""

    state: ModelState
    name: str = ""  # the manifest's name
    label: str = ""  # the manifest's label
    error: str = ""


class JobLost(Message, frozen=True, kw_only=True):
    """Told to the prompt stage: this job was running alone when inference died again; it is not sent a third time."""

    job: PromptJob
    error: str
