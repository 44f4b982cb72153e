"""What a screen shows of one state: names in place of ids, and for each machine who set it, when and why.

Runs in the page's process. The names are those of the configured surgeries; a surgery that this process does not know
is shown by its ids.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from pipeline.page.lines import Lines


class Named(msgspec.Struct, frozen=True):
    """A machine or a phase."""

    id: str
    name: str


class Dictionary(msgspec.Struct, frozen=True):
    """The phases and machines of a surgery, in its order."""

    full_name: str
    phases: tuple[Named, ...]
    machines: tuple[Named, ...]


class Suggestion(msgspec.Struct, frozen=True):
    """A suggestion, whose it is and when it was made last."""

    text: str
    by: str
    t: float


class Answer(msgspec.Struct, frozen=True):
    """The model's last word on a session: its answer, or why there is none, since when."""

    outcome: str = ""  # "": it was not asked yet
    model: str = ""
    t: float = 0.0
    reason: str = ""

    @property
    def degraded(self) -> bool:
        """Whether the model's part is missing."""
        return self.outcome not in ("", "ok")


class MachineView(msgspec.Struct, frozen=True):
    """A machine as it is shown. `at`: message time since which it is so; None: from the start."""

    id: str
    name: str
    state: Literal["ON", "OFF", "STANDBY"]
    by: str
    at: float | None
    held: bool
    reason: str
    operator: str
    waits: str  # what it was told for later
    model_says: str  # what only the model would set it to


class View(msgspec.Struct, frozen=True):
    """One session at one moment."""

    session: str
    seq: int
    t: float
    timestamp: str
    surgery: str
    full_name: str
    phases: tuple[Named, ...]
    phase: str
    next_phase: str
    machines: tuple[MachineView, ...]
    suggestions: tuple[Suggestion, ...]
    unknown: tuple[str, ...]
    answer: Answer
    degraded: bool
    reasoning: str
    confidence: float
    source: str


def view(
    session: str,
    seq: int,
    t: float,
    state: Mapping[str, Any],
    suggestions: tuple[Suggestion, ...],
    answer: Answer,
    dictionary: Dictionary | None,
    lines: Lines,
) -> View:
    """The state of a session after `seq`, in words. `lines`: what was ordered."""
    metadata, details = state["metadata"], state["details"]
    listed = sorted((*state["machines"]["0"], *state["machines"]["1"]))
    named = dictionary or Dictionary("", (), tuple(Named(machine, machine) for machine in listed))
    return View(
        session=session,
        seq=seq,
        t=t,
        timestamp=metadata.get("timestamp", ""),
        surgery=metadata["surgery"],
        full_name=named.full_name,
        phases=named.phases,
        phase=metadata["phase"],
        next_phase=metadata["next_phase"],
        machines=tuple(_machine(machine, state, lines, t) for machine in named.machines if machine.id in listed),
        suggestions=suggestions,
        unknown=tuple(details.get("unknown", ())),
        answer=answer,
        degraded=metadata["degraded"] or answer.degraded,
        reasoning=metadata.get("reasoning", ""),
        confidence=state["confidence"],
        source=state["source"],
    )


def _machine(machine: Named, state: Mapping[str, Any], lines: Lines, t: float) -> MachineView:
    details = state["details"]
    by = details.get("set_by", {}).get(machine.id, "")
    order = lines.order(machine.id, t) if by == "override" else None
    waiting = next((one for one in details.get("deferred", ()) if one["machine_id"] == machine.id), None)
    model = next((one for one in details.get("model_toggles", ()) if one["machine_id"] == machine.id), None)
    on, standby = machine.id in state["machines"]["1"], machine.id in details.get("standby", ())
    return MachineView(
        id=machine.id,
        name=machine.name,
        state="ON" if on else "STANDBY" if standby else "OFF",
        by=by,
        at=details.get("set_at", {}).get(machine.id),
        held=machine.id in details.get("held", ()),
        reason=order.reason if order else "",
        operator=order.operator if order else "",
        waits=f"{waiting['action']} {waiting.get('waits_for', '')}".strip() if waiting else "",
        model_says=model["action"] if model else "",
    )
