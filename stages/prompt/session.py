"""The state of one session: what is on, which phase it is, and what is remembered to ask the model. Prompt process.

All times are message times; nothing here looks at a clock. A machine remembers who set it and when: a human's
override holds until it is released; rules and observations set it otherwise, unless something newer did; the model
sets only what nobody set after its question was asked. The phase follows from what is said, switched and seen.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

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
from stages.phases import PhaseBelief, seen, with_vote
from stages.prompt.change import Change
from stages.prompt.cues import PhaseCues, usual
from stages.prompt.labels import Labels
from stages.prompt.publishers import Publishers
from stages.prompt.rules import Reading
from stages.prompt.tail import Moment
from stages.prompt.taught import UNTAUGHT, Taught
from stages.prompt.waiting import WaitingList
from stages.prompt.window import SEEN, Window
from stages.surgery import Surgery

NOTE_AGAIN_S: Final = 30.0  # the same thing seen again sooner is not told to the model again
RECENT_S: Final = 15.0  # "it" and "no, sorry" speak of what was said within this time
VOTE_S: Final = 60.0  # the model's opinion on the phase stands so long
UNUSUAL: Final = 0.10  # less confidence in a machine that its phase does not use


class Session:
    """One session. `begin` makes it clean; the others take one input each and say what it changed."""

    def __init__(
        self,
        message: SessionStart,
        surgery: Surgery,
        cues: PhaseCues,
        section: PromptSection,
        now: float,
        taught: Taught = UNTAUGHT,
    ) -> None:
        self.name = message.session
        self.epoch = -1
        self.number = 0  # of the newest snapshot that was sent, and its place
        self.place = 0
        self.publishers = Publishers()
        self.ending = False
        self._forgotten = 0  # of what was told for later
        self._section = section
        self._taught = taught
        self.begin(message, surgery, cues, now)

    def begin(self, message: SessionStart, surgery: Surgery, cues: PhaseCues, now: float) -> None:
        """A clean start with `surgery` and its cues. `now`: Unix time, if the message does not say when t = 0 was.

        Raises Rejected for a start that came before.
        """
        if self.ending:
            self.publishers.begin(message)
        else:
            self.publishers.restart(message)
        self.epoch += 1
        self.surgery = surgery
        self.started_at = now if message.started_at is None else message.started_at
        self.t = message.t
        self.seq = message.seq
        self.machines: dict[str, Action] = {m.id: m.default_state for m in surgery.machines}
        self.set_by: dict[str, str] = {m.id: "default" for m in surgery.machines}
        self._cues = cues
        self._labels = Labels(self.name, surgery)
        self._belief = PhaseBelief(surgery.phase_ids)
        self._vote: tuple[dict[str, float], float] | None = None  # the model's, and of when
        self._phase_seen_at: float | None = None
        self._used = {m.id for m in surgery.machines if m.default_state == "ON"}
        self._waiting = WaitingList(cues, surgery.phase_ids)
        self._said: tuple[float, Reading] | None = None  # the newest line
        self._mentioned = dict[str, None]()  # machines, since the model was asked
        self._hinted = dict[str, None]()  # the same
        self.window = Window(self._section.window_s, self._taught.window_lines)
        self.ending = False
        self._set_at: dict[str, float] = {}
        self._overridden: set[str] = set()
        self._ruled: dict[str, tuple[Action, float]] = {}  # the newest rule toggle of each machine
        self._noted: dict[tuple[str, str, str], float] = {}

    def come_back(self, message: SessionStart) -> None:
        """A publisher that starts again what runs already: it counts anew, nothing else changes.

        Raises Rejected for a start that came before.
        """
        self.publishers.restart(message)
        self.seq = message.seq

    def take(self, message: Input) -> None:
        """Count an input in. Raises Rejected for a repeated one, or one too far back in time."""
        self.publishers.take(message)
        self._check_time(message)
        self.t = max(self.t, message.t)
        self.seq = message.seq

    def _check_time(self, message: Input) -> None:
        behind = self.t - message.t
        if behind > self._section.backwards_s:
            raise Rejected(
                "time_backwards",
                f"session {self.name!r}: t={message.t:g} is {behind:g} s behind the newest t={self.t:g}, more than "
                f"prompt.backwards_s={self._section.backwards_s:g}; t counts up from the start of the session",
            )

    def dropped(self) -> dict[str, int]:
        """What was lost of the session, by cause."""
        return {"gap": self.publishers.gaps, "deferred": self._forgotten}

    @property
    def phase(self) -> str:
        """The phase that is believed, the model's vote counted as long as it stands."""
        believed = self._belief.phase
        if self._vote is None or self.t - self._vote[1] > VOTE_S:
            return believed
        return with_vote(believed, self._belief.weights(), self._vote[0])

    def recent(self, t: float) -> Reading | None:
        """What was said shortly before `t`."""
        if self._said is None or not 0.0 <= t - self._said[0] <= RECENT_S:
            return None
        return self._said[1]

    def hear(self, line: Transcript, reading: Reading, hinted: Iterable[str] = ()) -> Change:
        """A final line, what the rules read in it, and the machines that it only hints at."""
        change = Change(reading)
        self._mentioned.update(dict.fromkeys(reading.mentioned))
        self._hinted.update(dict.fromkeys(hinted))
        phase = self.phase
        evidence = self._cues.read(reading.words)
        for toggle in reading.toggles:
            machine = toggle.machine_id
            if machine in self._overridden:
                change.held.append(machine)
            elif self._repeats(toggle, line.t):
                change.debounced.append(machine)
            elif self._set_at.get(machine, 0.0) > line.t:
                change.late.append(machine)
            else:
                _multiply(evidence, self._evidence_of(toggle))
                toggle = self._as_usual(toggle, phase, change)
                self._set(toggle, "rule", line.t)
                self._ruled[machine] = (toggle.action, line.t)
                change.toggles.append(toggle)
        self._belief.learn(evidence)
        self._suggest(change, phase, reading.words)
        self._forgotten += self._waiting.add(reading.deferred, line.t)
        if reading.toggles or reading.named:
            self._said = (line.t, reading)
        return change

    def observe(self, sight: Observation) -> Change:
        """What a video process saw. Raises Rejected for a machine, phase or value that does not exist."""
        change = Change()
        phase_before = self.phase
        sure = sight.confidence >= self._section.observation_confidence
        if sight.kind == "machine":
            machine = self._labels.machine(sight.label)
            action = self._labels.action(machine, sight.value)
            toggle = Toggle(
                machine_id=machine.id, name=machine.name, action=action, trigger="seen", confidence=sight.confidence
            )
            if not sure:
                self._note(sight, f"{machine.id} {action}")
            elif machine.id in self._overridden:
                change.held.append(machine.id)
            elif self._set_at.get(machine.id, 0.0) > sight.t:
                change.late.append(machine.id)
            else:
                if self.machines[machine.id] != action:
                    change.toggles.append(toggle)
                    self._belief.learn(self._evidence_of(toggle))
                self._set(toggle, "observation", sight.t)
        elif sight.kind == "phase":
            phase = self._labels.phase(sight.label)
            if not sure:
                self._note(sight, phase.id)
            elif self._phase_seen_at is None or sight.t >= self._phase_seen_at:
                self._belief.learn(seen(phase.id, sight.confidence, len(self.surgery.phases)))
                self._phase_seen_at = sight.t
                self._vote = None  # it was about what was known before
        else:
            self._note(sight, " ".join(f"{sight.label} {sight.value}".split()))
        words = (
            (*sight.label.lower().split(), *sight.value.lower().split())
            if sight.kind in ("event", "instrument")
            else ()
        )
        self._suggest(change, phase_before, words)
        return change

    def override(self, order: Override) -> Change:
        """A human's setting, or its release. Raises Rejected for a machine that this surgery does not have."""
        machine = self._labels.id(order.machine)
        change = Change()
        if order.action == "RELEASE":
            self._overridden.discard(machine.id)
            return change
        toggle = Toggle(
            machine_id=machine.id, name=machine.name, action=order.action, trigger="override", confidence=1.0
        )
        if machine.id in self._overridden and self._set_at[machine.id] > order.t:
            change.late.append(machine.id)
            return change
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
            if self._section.rules:
                self._vote = (verdict.evidence, verdict.t)
            elif not self._taught.own_phase or verdict.phase != self._belief.phase:
                self._belief.learn(verdict.evidence)
        for toggle in verdict.toggles:
            machine = toggle.machine_id
            set_later = self._set_at.get(machine, 0.0) > verdict.t
            if machine in self.machines and machine not in self._overridden and not set_later:
                self._set(toggle, "model", verdict.t)

    def asked(self) -> None:
        """The model is asked about all that was said until now."""
        self._mentioned.clear()
        self._hinted.clear()

    def moment(self) -> Moment:
        """What the tail of a prompt tells."""
        told = self._section.rules or self._taught.own_phase
        return Moment(t=self.t, phase=self.phase if told else "", machines=dict(self.machines))

    def snapshot(self, change: Change, model: ModelState, model_error: str, stamps: dict[str, int]) -> RuleOutcome:
        """The whole state as it is after `change`."""
        return RuleOutcome(
            session=self.name,
            epoch=self.epoch,
            number=self.number,
            place=self.place,
            seq=self.seq,
            t=self.t,
            surgery=self.surgery.surgery,
            started_at=self.started_at,
            machines=dict(self.machines),
            set_by=dict(self.set_by),
            set_at=dict(self._set_at),
            held=tuple(sorted(self._overridden)),
            phase=(phase := self.phase),
            next_phase=self.surgery.phase_after(phase),
            phase_belief=self._belief.weights(),
            model=model,
            model_error=model_error,
            toggles=tuple(change.toggles),
            negations=change.negations,
            debounced=tuple(change.debounced),
            deferred=self._waiting.shown(),
            unknown=change.unknown,
            suggestions=tuple(change.suggestions),
            matched_keywords=change.keywords,
            mentioned=tuple(self._mentioned),
            hinted=tuple(self._hinted),
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
        self._waiting.forget(toggle.machine_id, toggle.action)

    def _evidence_of(self, toggle: Toggle) -> dict[str, float]:
        """What a machine that is switched says about the phase."""
        first = toggle.action == "ON" and toggle.machine_id not in self._used
        self._used |= {toggle.machine_id} if first else set()
        return self._cues.of_machine(toggle.machine_id, toggle.action, first)

    def _as_usual(self, toggle: Toggle, phase: str, change: Change) -> Toggle:
        """The toggle, with less confidence and a suggestion if its phase does not use the machine."""
        machine = self.surgery.machine(toggle.machine_id)
        if machine is None or toggle.action != "ON" or usual(machine, phase) or self.machines[machine.id] == "ON":
            return toggle
        change.suggestions.append(f"Check {machine.name}: it is not usual in {self._phase_name(phase)}")
        return msgspec.structs.replace(toggle, confidence=round(max(0.0, toggle.confidence - UNUSUAL), 2))

    def _suggest(self, change: Change, phase_before: str, words: Iterable[str]) -> None:
        """What was told for later and is due now, and what a new phase needs."""
        due = [*self._waiting.at(self.t), *self._waiting.said(words)]
        phase = self.phase
        if phase != phase_before:
            due += self._waiting.entered(phase)
            for machine in self.surgery.machines:
                if machine.phase_usage[:1] == (phase,) and self.machines[machine.id] != "ON":
                    change.suggestions.append(f"Prepare {machine.name} for {self._phase_name(phase)}")
        for deferred in due:
            if self.machines[deferred.machine_id] != deferred.action:
                how = {"ON": "switching on", "OFF": "switching off", "STANDBY": "setting to standby"}[deferred.action]
                change.suggestions.insert(0, f"Consider {how} {deferred.name}: what it was to wait for has come")

    def _phase_name(self, phase_id: str) -> str:
        phase = self.surgery.phase(phase_id)
        return phase_id if phase is None else f"{phase.id} {phase.name}"

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
        self.window.note(seen.t, f"{SEEN} {seen.kind} {text} {seen.confidence:.2g}")


def _multiply(evidence: dict[str, float], more: Mapping[str, float]) -> None:
    for phase, weight in more.items():
        evidence[phase] = evidence.get(phase, 1.0) * weight
