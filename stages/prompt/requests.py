"""Explicit requests: each brings its own context and gets exactly one answer. Runs in the prompt process.

A request touches no session. What the rules read in its transcript stands beside what the model will say.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from pipeline.messages import Action, LLMRequest, LLMResponse, ModelState, RuleOutcome
from stages.prompt.prompts import Moment
from stages.prompt.rules import RuleEngine
from stages.prompt.session import Change
from stages.prompt.window import Window
from stages.surgery import Surgery

REMEMBERED: Final = 4096
_STAMPED_LINE = re.compile(r"^\[(\d{1,7}(?:\.\d{1,6})?)s\]\s*")
_SPEAKER = re.compile(r"^([A-Za-z][\w .'-]{0,63}):\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Read:
    """A request, read: what is known without the model, and what the prompt is made of."""

    rules: RuleOutcome
    transcript: str
    moment: Moment


class Answers:
    """The newest answers by request id, so that a request that is sent again gets the same one."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, LLMResponse] = OrderedDict()

    def get(self, request_id: str) -> LLMResponse | None:
        return self._answers.get(request_id)

    def remember(self, response: LLMResponse) -> None:
        self._answers[response.request_id] = response
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)


def fault(request: LLMRequest, surgery: Surgery) -> str:
    """What the request asks for that this surgery does not have; "" if nothing."""
    where = f"request {request.request_id!r}"
    if request.current_phase and surgery.phase(request.current_phase) is None:
        known = ", ".join(surgery.phase_ids)
        return f"{where}: {surgery.surgery} has no phase {request.current_phase!r}; its phases are {known}"
    listed = [i for ids in request.current_machines.values() for i in ids]
    if strange := [i for i in listed if surgery.machine(i) is None]:
        known = ", ".join(surgery.machine_ids)
        return f"{where}: {surgery.surgery} has no machine {strange[0]!r}; its machines are {known}"
    if both := set(request.current_machines.get("0", ())) & set(request.current_machines.get("1", ())):
        return f'{where}: machine {min(both)!r} stands in both "0" and "1"; list it in one'
    return ""


def read_request(
    request: LLMRequest,
    surgery: Surgery,
    engine: RuleEngine,
    *,
    window_lines: int,
    model: ModelState,
    model_error: str,
    now: float,
    received_ns: int,
) -> Read:
    """The rules over each line of the request's transcript; later lines win, nothing is debounced."""
    machines: dict[str, Action] = {m.id: m.default_state for m in surgery.machines}
    set_by = dict.fromkeys(machines, "default")
    machines.update(dict.fromkeys(request.current_machines.get("1", ()), "ON"))
    machines.update(dict.fromkeys(request.current_machines.get("0", ()), "OFF"))
    change = Change()
    toggles, negations, keywords = {}, dict[str, None](), dict[str, None]()
    t = request.session_time_s
    window = Window(float("inf"), window_lines)
    for raw in request.transcript_context.splitlines():
        at, speaker, text = _split(raw, t)
        window.append(at, speaker, text)
        reading = engine.read(text)
        for toggle in reading.toggles:
            machines[toggle.machine_id], set_by[toggle.machine_id] = toggle.action, "rule"
            toggles[toggle.machine_id] = toggle
        negations.update(dict.fromkeys(reading.negations))
        keywords.update(dict.fromkeys(reading.matched_keywords))
        change.temporal = reading.temporal if reading.temporal != "none" else change.temporal
    change.toggles.extend(toggles.values())
    phase = request.current_phase or surgery.phases[0].id
    rules = RuleOutcome(
        session=request.session,
        epoch=0,
        number=0,
        seq=0,
        t=t,
        surgery=surgery.surgery,
        started_at=max(0.0, now - t),
        machines=machines,
        set_by=set_by,
        phase=phase,
        next_phase=surgery.phase_after(phase),
        model=model,
        model_error=model_error,
        toggles=tuple(change.toggles),
        negations=tuple(negations),
        matched_keywords=tuple(keywords),
        temporal=change.temporal,
        reasoning=change.reasoning(),
        confidence=min((toggle.confidence for toggle in change.toggles), default=0.0),
        buffer_entries=len(window),
        buffer_duration_s=window.duration,
        stamps={"received": received_ns},
    )
    return Read(rules=rules, transcript=window.transcript, moment=Moment(t=t, phase=phase, machines=machines))


def rejection(request_id: str, error: str) -> LLMResponse:
    """The answer to a request that cannot be taken."""
    return LLMResponse(request_id=request_id, outcome="rejected", success=False, degraded=True, error=error)


def _split(line: str, t: float) -> tuple[float, str, str]:
    """Time, speaker and text of `[12.3s] Speaker: text`; a line that is only text was said at `t`."""
    at = t
    if stamp := _STAMPED_LINE.match(line):
        at, line = float(stamp.group(1)), line[stamp.end() :]
    if speaker := _SPEAKER.match(line):
        return at, speaker.group(1), line[speaker.end() :]
    return at, "", line
