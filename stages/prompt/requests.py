"""Explicit requests: each brings its own context and gets exactly one answer. Runs in the prompt process.

A request touches no session. What the rules read in its transcript stands beside what the model will say.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.messages import Action, Deferred, LLMRequest, LLMResponse, ModelState, RuleOutcome
from stages.prompt.change import Change
from stages.prompt.links import Link
from stages.prompt.rules import Reading
from stages.prompt.silence import Rules
from stages.prompt.tail import Moment
from stages.prompt.window import Window
from stages.surgery import Surgery, find_surgery, unknown_surgery

REMEMBERED: Final = 4096
_STAMPED_LINE = re.compile(r"^\[(\d{1,7}(?:\.\d{1,6})?)s\]\s*")
_SPEAKER = re.compile(r"^([A-Za-z][\w .'-]{0,63}):\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Read:
    """A request, read: what is known without the model, and what the prompt is made of."""

    surgery: Surgery
    rules: RuleOutcome
    transcript: str
    moment: Moment


class Requests:
    """Which requests can be taken, and which came before: what is sent again under its id gets the same answer."""

    def __init__(
        self,
        surgeries: Mapping[str, Surgery],
        engines: Mapping[str, Rules],
        *,
        window_lines: int,
        links: Mapping[str, Link],
        most: int,
    ) -> None:
        """`most` requests may be open at one time."""
        self._surgeries = surgeries
        self._engines = engines
        self._window_lines = window_lines
        self._links = links
        self._most = most
        self._waiting: set[str] = set()  # ids of requests without their answer
        self._answers: OrderedDict[str, LLMResponse] = OrderedDict()  # the newest ones

    def again(self, request_id: str) -> list[LLMResponse] | None:
        """What is sent for an id that came before: its answer, or nothing yet. None for a new one."""
        if answered := self._answers.get(request_id):
            return [answered]
        return [] if request_id in self._waiting else None

    def read(
        self, request: LLMRequest, already_open: int, model: ModelState, model_error: str, now: float, received_ns: int
    ) -> Read | LLMResponse:
        """The request, read, or the answer to one that cannot be taken. `now`: Unix time."""
        surgery = find_surgery(self._surgeries, request.surgery)
        if surgery is None:
            error = f"request {request.request_id!r}: {unknown_surgery(self._surgeries, request.surgery)}"
        elif already_open >= self._most:
            error = (
                f"request {request.request_id!r}: {already_open} requests are open, as many as "
                "prompt.max_requests allows; send it again when one is answered"
            )
        else:
            error = _fault(request, surgery)
        if surgery is None or error:
            return LLMResponse(
                request_id=request.request_id, outcome="rejected", success=False, degraded=True, error=error
            )
        return _read(
            request,
            surgery,
            self._engines[surgery.surgery],
            window_lines=self._window_lines,
            link=self._links[surgery.surgery],
            model=model,
            model_error=model_error,
            now=now,
            received_ns=received_ns,
        )

    def opened(self, request_id: str) -> None:
        """The question is under way."""
        self._waiting.add(request_id)

    def answered(self, response: LLMResponse) -> None:
        """The one answer of its id."""
        self._waiting.discard(response.request_id)
        self._answers[response.request_id] = response
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)


def _fault(request: LLMRequest, surgery: Surgery) -> str:
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


def _read(
    request: LLMRequest,
    surgery: Surgery,
    engine: Rules,
    *,
    window_lines: int,
    link: Link,
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
    reading: Reading | None = None
    deferred: list[Deferred] = []
    unknown, hinted = dict[str, None](), dict[str, None]()
    toggles, negations, keywords, mentioned = {}, dict[str, None](), dict[str, None](), dict[str, None]()
    t = request.session_time_s
    window = Window(float("inf"), window_lines)
    for raw in request.transcript_context.splitlines():
        at, speaker, text = _split(raw, t)
        linked = link(text)
        window.append(at, speaker, text, linked.text)
        hinted.update(dict.fromkeys(linked.hinted))
        reading = engine.read(text, speaker, reading)
        for toggle in reading.toggles:
            machines[toggle.machine_id], set_by[toggle.machine_id] = toggle.action, "rule"
            toggles[toggle.machine_id] = toggle
        deferred += [later.shown(at) for later in reading.deferred]
        unknown.update(dict.fromkeys(reading.unknown))
        negations.update(dict.fromkeys(reading.negations))
        keywords.update(dict.fromkeys(reading.matched_keywords))
        mentioned.update(dict.fromkeys(reading.mentioned))
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
        deferred=tuple(deferred),
        unknown=tuple(unknown),
        matched_keywords=tuple(keywords),
        mentioned=tuple(mentioned),
        hinted=tuple(hinted),
        temporal=change.temporal,
        reasoning=change.reasoning(),
        confidence=min((toggle.confidence for toggle in change.toggles), default=0.0),
        buffer_entries=len(window),
        buffer_duration_s=window.duration,
        stamps={"received": received_ns},
    )
    moment = Moment(t=t, phase=phase, machines=machines)
    return Read(surgery=surgery, rules=rules, transcript=window.transcript, moment=moment)


def _split(line: str, t: float) -> tuple[float, str, str]:
    """Time, speaker and text of `[12.3s] Speaker: text`; a line that is only text was said at `t`."""
    at = t
    if stamp := _STAMPED_LINE.match(line):
        at, line = float(stamp.group(1)), line[stamp.end() :]
    if speaker := _SPEAKER.match(line):
        return at, speaker.group(1), line[speaker.end() :]
    return at, "", line
