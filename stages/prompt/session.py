"""The state of one session: what is on, which phase it is, and what is remembered to ask the model. Prompt process.

All times are message times; nothing here looks at a clock. A machine remembers who set it and when: a human's
override holds until it is released, rules and observations set it otherwise, and the model only what nobody
set after its question was asked.
"""

from typing import Final

from pipeline.config import PromptSection
from pipeline.errors import Rejected
from pipeline.messages import (
    Action,
    Input,
    ModelState,
    Observation,
    Override,
    RuleOutcome,
    SessionStart,
    Toggle,
    Transcript,
    Verdict,
)
from stages.prompt.publishers import Publishers
from stages.prompt.rules import Reading
from stages.prompt.tail import Moment
from stages.prompt.window import Window
from stages.surgery import Machine, Phase, Surgery

NOTE_AGAIN_S: Final = 30.0  # the same thing seen again sooner is not told to the model again
_VALUES: Final[dict[str, Action]] = {
    "on": "ON",
    "off": "OFF",
    "standby": "STANDBY",
    "true": "ON",
    "false": "OFF",
    "1": "ON",
    "0": "OFF",
}


class Change:
    """What one input did to a session, for the outcome that is published about it."""

    __slots__ = ("debounced", "held", "keywords", "negations", "temporal", "toggles")

    def __init__(self, reading: Reading | None = None) -> None:
        self.toggles: list[Toggle] = []
        self.debounced: list[str] = []
        self.held: list[str] = []  # machines that an override kept as they were
        self.negations = reading.negations if reading else ()
        self.keywords = reading.matched_keywords if reading else ()
        self.temporal = reading.temporal if reading else "none"

    def reasoning(self) -> str:
        """One line on why; "normal" if nothing happened."""
        parts = [f"{t.name} {t.action} ({t.trigger})" if t.trigger else f"{t.name} {t.action}" for t in self.toggles]
        if self.held:
            parts.append(f"{len(self.held)} toggle(s) not applied, overridden: {', '.join(self.held)}")
        return "; ".join(parts) or "normal"


class Session:
    """One session. `begin` makes it clean; the others take one input each and say what it changed."""

    def __init__(self, message: SessionStart, surgery: Surgery, section: PromptSection, now: float) -> None:
        self.name = message.session
        self.epoch = -1
        self.number = 0  # of the newest snapshot that was sent
        self.publishers = Publishers()
        self._section = section
        self.begin(message, surgery, now)

    def begin(self, message: SessionStart, surgery: Surgery, now: float) -> None:
        """A clean start with `surgery`. `now`: Unix time, for a message that does not say when t = 0 was."""
        self.publishers.restart(message)
        self.epoch += 1
        self.surgery = surgery
        self.started_at = now if message.started_at is None else message.started_at
        self.t = message.t
        self.seq = message.seq
        self.machines: dict[str, Action] = {m.id: m.default_state for m in surgery.machines}
        self.set_by: dict[str, str] = {m.id: "default" for m in surgery.machines}
        self.phase = surgery.phases[0].id
        self.window = Window(self._section.window_s, self._section.window_lines)
        self.ending = False
        self._set_at: dict[str, float] = {}
        self._overridden: set[str] = set()
        self._ruled: dict[str, tuple[Action, float]] = {}  # the newest rule toggle of each machine
        self._phase_seen_at: float | None = None
        self._noted: dict[tuple[str, str, str], float] = {}

    def come_back(self, message: SessionStart) -> None:
        """A publisher that starts again what runs already: it counts anew, nothing else changes."""
        self.publishers.restart(message)
        self.seq = message.seq

    def take(self, message: Input) -> None:
        """Count an input in. Raises Rejected for a repeated one, or one too far back in time."""
        self.publishers.take(message)
        behind = self.t - message.t
        if behind > self._section.backwards_s:
            raise Rejected(
                "time_backwards",
                f"session {self.name!r}: t={message.t:g} is {behind:g} s behind the newest t={self.t:g}, more than "
                f"prompt.backwards_s={self._section.backwards_s:g}; t counts up from the start of the session",
            )
        self.t = max(self.t, message.t)
        self.seq = message.seq

    def hear(self, line: Transcript, reading: Reading) -> Change:
        """A final line, and what the rules read in it."""
        change = Change(reading)
        for toggle in reading.toggles:
            machine = toggle.machine_id
            if machine in self._overridden:
                change.held.append(machine)
            elif self._repeats(toggle, line.t):
                change.debounced.append(machine)
            else:
                self._set(toggle, "rule", line.t)
                self._ruled[machine] = (toggle.action, line.t)
                change.toggles.append(toggle)
        return change

    def observe(self, seen: Observation) -> Change:
        """What a video process saw. Raises Rejected for a machine, phase or value that does not exist."""
        change = Change()
        sure = seen.confidence >= self._section.observation_confidence
        if seen.kind == "machine":
            machine = self._machine(seen.label)
            action = _VALUES.get(seen.value.strip().casefold())
            if action is None:
                raise Rejected(
                    "bad_observation",
                    f"session {self.name!r}: machine {machine.id} cannot be {seen.value!r}; "
                    "value is ON, OFF, STANDBY, true, false, 1 or 0",
                )
            toggle = Toggle(
                machine_id=machine.id, name=machine.name, action=action, trigger="seen", confidence=seen.confidence
            )
            if not sure:
                self._note(seen, f"{machine.id} {action}")
            elif machine.id in self._overridden:
                change.held.append(machine.id)
            else:
                if self.machines[machine.id] != action:
                    change.toggles.append(toggle)
                self._set(toggle, "observation", seen.t)
        elif seen.kind == "phase":
            phase = self._phase(seen.label)
            if not sure:
                self._note(seen, phase.id)
            elif self._phase_seen_at is None or seen.t >= self._phase_seen_at:
                self.phase, self._phase_seen_at = phase.id, seen.t
        else:
            self._note(seen, " ".join(f"{seen.label} {seen.value}".split()))
        return change

    def override(self, order: Override) -> Change:
        """A human's setting, or its release. Raises Rejected for a machine that this surgery does not have."""
        machine = self.surgery.machine(order.machine)
        if machine is None:
            raise self._unknown_machine(order.machine)
        change = Change()
        if order.action == "RELEASE":
            self._overridden.discard(machine.id)
            return change
        toggle = Toggle(
            machine_id=machine.id, name=machine.name, action=order.action, trigger="override", confidence=1.0
        )
        self._overridden.add(machine.id)
        self._set(toggle, "override", order.t)
        change.toggles.append(toggle)
        return change

    def learn(self, verdict: Verdict) -> None:
        """Take the model's answer for what it still can know; an answer of an earlier epoch says nothing."""
        if verdict.epoch != self.epoch or verdict.outcome != "ok":
            return
        newer_seen = self._phase_seen_at is not None and self._phase_seen_at > verdict.t
        if not newer_seen and self.surgery.phase(verdict.phase) is not None:
            self.phase = verdict.phase
        for toggle in verdict.toggles:
            machine = toggle.machine_id
            set_later = self._set_at.get(machine, 0.0) > verdict.t
            if machine in self.machines and machine not in self._overridden and not set_later:
                self._set(toggle, "model", verdict.t)

    def moment(self) -> Moment:
        """What the tail of a prompt tells."""
        return Moment(t=self.t, phase=self.phase, machines=dict(self.machines))

    def snapshot(self, change: Change, model: ModelState, model_error: str, stamps: dict[str, int]) -> RuleOutcome:
        """The whole state as it is after `change`."""
        return RuleOutcome(
            session=self.name,
            epoch=self.epoch,
            number=self.number,
            seq=self.seq,
            t=self.t,
            surgery=self.surgery.surgery,
            started_at=self.started_at,
            machines=dict(self.machines),
            set_by=dict(self.set_by),
            phase=self.phase,
            next_phase=self.surgery.phase_after(self.phase),
            model=model,
            model_error=model_error,
            toggles=tuple(change.toggles),
            negations=change.negations,
            debounced=tuple(change.debounced),
            matched_keywords=change.keywords,
            temporal=change.temporal,
            reasoning=change.reasoning(),
            confidence=min((toggle.confidence for toggle in change.toggles), default=0.0),
            buffer_entries=len(self.window),
            buffer_duration_s=self.window.duration,
            overrides_applied=len(self._overridden),
            stamps=stamps,
        )

    def _set(self, toggle: Toggle, who: str, t: float) -> None:
        self.machines[toggle.machine_id] = toggle.action
        self.set_by[toggle.machine_id] = who
        self._set_at[toggle.machine_id] = t

    def _repeats(self, toggle: Toggle, t: float) -> bool:
        """Whether a rule said the same less than `debounce_s` ago and it still stands."""
        action, at = self._ruled.get(toggle.machine_id, (None, 0.0))
        stands = action == toggle.action == self.machines[toggle.machine_id]
        return stands and t - at < self._section.debounce_s

    def _note(self, seen: Observation, text: str) -> None:
        key = (seen.kind, seen.label, seen.value)
        last = self._noted.get(key)
        if last is not None and seen.t - last < NOTE_AGAIN_S:
            return
        self._noted = {k: t for k, t in self._noted.items() if self.t - t < NOTE_AGAIN_S}
        self._noted[key] = seen.t
        self.window.note(seen.t, f"(video) {seen.kind} {text} {seen.confidence:.2g}")

    def _machine(self, label: str) -> Machine:
        wanted = label.strip().casefold()
        for machine in self.surgery.machines:
            if wanted in (machine.id.casefold(), machine.name.casefold()):
                return machine
        for machine in self.surgery.machines:
            if wanted in (alias.casefold() for alias in machine.aliases):
                return machine
        raise self._unknown_machine(label)

    def _phase(self, label: str) -> Phase:
        wanted = label.strip().casefold()
        for phase in self.surgery.phases:
            if wanted in (phase.id.casefold(), phase.name.casefold()):
                return phase
        known = ", ".join(f"{phase.id} ({phase.name})" for phase in self.surgery.phases)
        raise Rejected(
            "bad_observation",
            f"session {self.name!r}: {self.surgery.surgery} has no phase {label!r}; its phases are {known}",
        )

    def _unknown_machine(self, label: str) -> Rejected:
        known = ", ".join(f"{machine.id} ({machine.name})" for machine in self.surgery.machines)
        return Rejected(
            "unknown_machine",
            f"session {self.name!r}: {self.surgery.surgery} has no machine {label!r}; its machines are {known}",
        )
