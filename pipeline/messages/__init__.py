"""Every message that crosses a process border, with the bounds of every field.

Used by all processes and by publishers. A message is a tagged, frozen msgspec Struct, encoded as a map, so
that a newer sender may add fields and an older receiver skips them. Publishers in other languages send the
same maps as JSON or MessagePack with the tag in the key "type".

Times `t` are message times: seconds since the session began, given by the publisher. Stamps are
`time.monotonic_ns()` values, comparable between the processes of one machine.

Here by the way they go: `inputs` come in from outside, `inner` ones go between the stages, `outputs` go out, `status`
tells how all of it does; all are made of `fields`. Import them from here.
"""

from pipeline.messages.fields import (
    OUTCOMES,
    Action,
    Context,
    Line,
    MachineId,
    MachineLists,
    Message,
    ModelState,
    Name,
    Outcome,
    RequestId,
    Seconds,
    Seq,
    SessionId,
    Unit,
)
from pipeline.messages.inner import (
    Cancel,
    Certainty,
    Completion,
    Deferred,
    JobLost,
    Learned,
    ModelChanged,
    Prompt,
    PromptJob,
    RuleOutcome,
    Toggle,
    Verdict,
)
from pipeline.messages.inputs import (
    Describe,
    FrameRef,
    Input,
    LLMRequest,
    Observation,
    Override,
    SessionEnd,
    SessionStart,
    Transcript,
)
from pipeline.messages.outputs import (
    DeadLetter,
    Description,
    LLMResponse,
    SurgeryState,
)
from pipeline.messages.status import DROPS, ModelWork, StageStatus, Status

__all__ = [
    "DROPS",
    "OUTCOMES",
    "Action",
    "Cancel",
    "Certainty",
    "Completion",
    "Context",
    "DeadLetter",
    "Deferred",
    "Describe",
    "Description",
    "FrameRef",
    "Input",
    "JobLost",
    "LLMRequest",
    "LLMResponse",
    "Learned",
    "Line",
    "MachineId",
    "MachineLists",
    "Message",
    "ModelChanged",
    "ModelState",
    "ModelWork",
    "Name",
    "Observation",
    "Outcome",
    "Override",
    "Prompt",
    "PromptJob",
    "RequestId",
    "RuleOutcome",
    "Seconds",
    "Seq",
    "SessionEnd",
    "SessionId",
    "SessionStart",
    "StageStatus",
    "Status",
    "SurgeryState",
    "Toggle",
    "Transcript",
    "Unit",
    "Verdict",
]
