"""Whom to believe where the model and the rules disagree. Runs in the parse process.

Rules lead. What they do not see is taken from the model only where it was measured to be right often enough with such
a claim, at this probability (models/trust.py); where it was not measured, nothing is. A machine of a category that is
relevant to safety wants more. What is claimed and is so already changes nothing; somebody said it all the same, as
where the rules read it, so it is shown if it is reliable.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from models.trust import Kind, Trust
from pipeline.config import ParseSection
from pipeline.messages import RuleOutcome, Toggle
from stages.parse.normalise import ModelAnswer
from stages.phases import answered, judged
from stages.surgery import Surgery


class Claim(NamedTuple):
    """The model says of a machine what the rules did not read. `changes`: it is, as far as they know, otherwise."""

    kind: Kind
    toggle: Toggle
    changes: bool


class Weighed(NamedTuple):
    """The model's claims, each with how reliable it is: changes taken, changes not taken, and what is so already."""

    applied: tuple[Toggle, ...]
    shown: tuple[Toggle, ...]
    again: tuple[Toggle, ...]


def claims(answer: ModelAnswer, rules: RuleOutcome, asked: RuleOutcome) -> Iterator[Claim]:
    """What the answer to `asked` says that the rules did not read, in the dictionary's order.

    A model that says OFF says nothing against standby: it has no word of its own for it.
    """
    ruled = {toggle.machine_id for toggle in asked.toggles}
    for_later = {one.machine_id for one in asked.deferred} & set(asked.mentioned)
    for toggle in answer.toggles:
        machine, now = toggle.machine_id, rules.machines.get(toggle.machine_id)
        changes = now != toggle.action
        if (now, toggle.action) == ("STANDBY", "OFF") or (machine in ruled and not changes):
            continue
        if machine in ruled or machine in for_later:
            yield Claim("contradicted", toggle, changes)
        elif machine in asked.mentioned:
            yield Claim("named", toggle, changes)
        elif ruled:
            yield Claim("beside", toggle, changes)  # who orders one thing by its name rarely means another without one
        elif machine in asked.hinted:
            yield Claim("hinted", toggle, changes)
        else:
            yield Claim("on" if toggle.action == "ON" else "off", toggle, changes)


class Fusion:
    """Decides what counts of a model's answer."""

    def __init__(self, section: ParseSection, trust: Trust | None, told: bool = True) -> None:
        """`trust`: what was measured of the model against rules, None if nothing was or they read nothing.

        `told`: whether the model is told the phase before it answers.
        """
        self._section = section
        self._trust = trust
        self._told = told

    def weigh(self, surgery: Surgery, rules: RuleOutcome, asked: RuleOutcome, answer: ModelAnswer) -> Weighed:
        """Which of the answer's claims count, when `rules` is the newest that is known."""
        applied, shown, again = list[Toggle](), list[Toggle](), list[Toggle]()
        for kind, toggle, changes in claims(answer, rules, asked):
            reliability = self._reliability(kind, toggle.confidence, answer)
            toggle = replace(toggle, reliability=round(reliability, 3))
            enough = _may_switch(toggle.machine_id, rules, asked) and self._enough(kind, toggle, surgery)
            if changes:
                (applied if enough else shown).append(toggle)
            elif enough:
                again.append(toggle)
        return Weighed(tuple(applied), tuple(shown), tuple(again))

    def evidence(self, answer: ModelAnswer) -> dict[str, float]:
        """How many times likelier the answer makes each phase, as far as the model is trusted; see stages/phases.py."""
        if not answer.phase:
            return {}
        if self._trust is None and not self._told and answer.phases:
            return judged(answer.phases)
        confidence = answer.phase_confidence
        if self._trust is not None:
            reliability = self._reliability("phase", confidence, answer)
            confidence *= reliability if reliability >= self._section.reliability else 0.0
        return answered(answer.phase, confidence)

    def _reliability(self, kind: Kind, probability: float, answer: ModelAnswer) -> float:
        if self._trust is None or not answer.measured:
            return 0.0
        return self._trust.reliability(kind, probability)

    def _enough(self, kind: Kind, toggle: Toggle, surgery: Surgery) -> bool:
        section, machine = self._section, surgery.machine(toggle.machine_id)
        if section.apply_model_toggles != "measured":
            return section.apply_model_toggles and kind != "contradicted"
        relevant = machine is None or machine.category in section.safety_categories
        least = max(section.reliability, section.safety_reliability) if relevant else section.reliability
        return 0.0 < toggle.reliability >= least


def _may_switch(machine_id: str, rules: RuleOutcome, asked: RuleOutcome) -> bool:
    """Not what a human holds, or what was set or spoken of after the model was asked."""
    if rules.number != asked.number and any(toggle.machine_id == machine_id for toggle in rules.toggles):
        return False
    since = (rules.machines.get(machine_id), rules.set_by.get(machine_id))
    before = (asked.machines.get(machine_id), asked.set_by.get(machine_id))
    return since == before and since[1] != "override"
