"""Brings both forms of a model's answer into one struct. Runs in the parse process.

The line between what is filtered and what fails: an answer must say a phase or give machine lists, its phase must
be one of this surgery, and its lists must be lists. What else is stray in it (ids, toggles, texts, numbers) is
left out and noted.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pipeline.messages import Action, Certainty, Toggle
from stages.parse.texts import clean, clip, distinct
from stages.surgery import Surgery

MAX_SUGGESTIONS: Final = 8
SUGGESTION_CHARACTERS: Final = 200
REASONING_CHARACTERS: Final = 1000
LEAST: Final = 0.4  # probability of a change, to be one; of the tuned-on sentences most come right at 0.4 to 0.6

_ACTIONS: Final[Mapping[str, Action]] = {"ON": "ON", "OFF": "OFF", "STANDBY": "STANDBY"}
_KINDS: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


class NotAnAnswer(Exception):
    """An object that says nothing about this surgery; says why."""


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, with this surgery's ids and phases only.

    `toggles` stand in the dictionary's order and are all of match_type "llm", whatever the model calls them.
    "" of `phase` and `next_phase` means: not said. `dropped` tells what was left out, and why. `measured`: its
    confidences are the probabilities of its model's choices, not what the model wrote. `phases`: the probability of
    each phase that it might have said, if that is known.
    """

    toggles: tuple[Toggle, ...] = ()
    phase: str = ""
    next_phase: str = ""
    reasoning: str = ""
    suggestions: tuple[str, ...] = ()
    confidence: float = 0.0
    phase_confidence: float = 0.0
    phases: dict[str, float] = {}
    measured: bool = False
    dropped: tuple[str, ...] = ()


def normalise(found: Mapping[str, Any], surgery: Surgery, machines: Mapping[str, Action]) -> ModelAnswer:
    """The answer in `found`: the small form (on, off, phase, next, why, tips, conf) or the full contract.

    `machines` is what the rules knew when the question was asked: the full form lists every machine, and only
    those that differ from it are toggles. Raises NotAnAnswer.
    """
    dropped: list[str] = []
    metadata = _table(found, "metadata")
    phase = _phase(_said(metadata.get("phase"), found.get("phase")), surgery)
    confidence = _confidence(_said(found.get("confidence"), found.get("conf")))
    claims = _Claims(surgery, machines, confidence, dropped)
    claims.take_lists(found)
    claims.take_machines(_table(found, "machines"))
    claims.take_toggles(found.get("details"))
    if not (phase or claims.given):
        raise NotAnAnswer("it says neither a phase nor machine lists")
    return ModelAnswer(
        toggles=claims.toggles(),
        phase=phase,
        next_phase=_next_phase(
            (metadata.get("next_phase"), found.get("next_phase"), found.get("next")), surgery, dropped
        ),
        reasoning=_reasoning((metadata.get("reasoning"), found.get("reasoning"), found.get("why")), dropped),
        suggestions=_suggestions((found.get("suggestions"), found.get("tips")), dropped),
        confidence=confidence,
        phase_confidence=confidence,
        dropped=tuple(dropped),
    )


def as_sure_as(answer: ModelAnswer, certainty: Certainty) -> ModelAnswer:
    """The answer with the confidences that its model's own choices show, instead of the number it wrote.

    A toggle is as sure as the choice of its machine; the whole is as sure as the least of its phase and toggles. One
    below LEAST is left out: the likeliest of many choices is still none that the model stands for.
    """
    sure = certainty.machines
    unsure = [t.machine_id for t in answer.toggles if t.machine_id in sure and sure[t.machine_id] < LEAST]
    toggles = tuple(
        msgspec.structs.replace(toggle, confidence=round(sure.get(toggle.machine_id, 0.0), 3))
        for toggle in answer.toggles
        if toggle.machine_id not in unsure
    )
    phase = [round(certainty.phase, 3)] if answer.phase else []
    confidence = min([*phase, *(toggle.confidence for toggle in toggles)], default=0.0)
    return msgspec.structs.replace(
        answer,
        toggles=toggles,
        confidence=confidence,
        phase_confidence=sum(phase),
        phases=certainty.phases if answer.phase else {},
        measured=True,
        dropped=(*answer.dropped, *(f"{machine}: at {sure[machine]:.2f} less sure than {LEAST}" for machine in unsure)),
    )


class _Claims:
    """What an answer says of each machine; of one that it tells two things nothing is taken."""

    def __init__(self, surgery: Surgery, machines: Mapping[str, Action], confidence: float, dropped: list[str]) -> None:
        self.given = False
        self._surgery = surgery
        self._machines = machines
        self._confidence = confidence
        self._dropped = dropped
        self._ids = frozenset(surgery.machine_ids)
        self._may_be: dict[str, frozenset[Action]] = {}
        self._commanded: set[str] = set()  # said to be switched, not just listed as it is
        self._confidences: dict[str, float] = {}

    def take_lists(self, found: Mapping[str, Any]) -> None:
        """The small form's `on` and `off`."""
        for key, action in (("on", _ACTIONS["ON"]), ("off", _ACTIONS["OFF"])):
            for machine_id in self._list(found, key, key):
                self._commanded.add(machine_id)
                self._claim(machine_id, frozenset({action}))

    def take_machines(self, lists: Mapping[str, Any]) -> None:
        """The full form's lists: "1" is ON, "0" is OFF or STANDBY."""
        off: frozenset[Action] = frozenset({"OFF", "STANDBY"})
        for key, actions in (("1", frozenset({_ACTIONS["ON"]})), ("0", off)):
            for machine_id in self._list(lists, key, f"machines.{key}"):
                self._claim(machine_id, actions)

    def take_toggles(self, details: object) -> None:
        """The full form's `details.toggles`, each with a valid id and action."""
        entries = details.get("toggles", []) if isinstance(details, dict) else []
        if not isinstance(entries, list):
            self._dropped.append(f"details.toggles: {_kind(entries)}, not a list")
            return
        for entry in entries:
            self.given = True
            at = entry if isinstance(entry, dict) else {}
            machine_id = self._known(at.get("machine_id"), "details.toggles")
            if machine_id is None:
                continue
            action = _ACTIONS.get(_upper(at.get("action")))
            if action is None:
                self._dropped.append(f"details.toggles: {machine_id} without a valid action")
                continue
            self._confidences[machine_id] = _confidence(at.get("confidence", self._confidence))
            self._claim(machine_id, frozenset({action}))

    def toggles(self) -> tuple[Toggle, ...]:
        """The machines that the answer wants in another state than they are, in the dictionary's order."""
        toggles = []
        for machine in self._surgery.machines:
            actions = self._may_be.get(machine.id)
            if actions is None:
                continue
            if not actions:
                self._dropped.append(f"{machine.id}: told two things at once")
            elif machine.id in self._commanded or self._machines.get(machine.id) not in actions:
                toggles.append(
                    Toggle(
                        machine_id=machine.id,
                        name=machine.name,
                        action=next(action for action in _ACTIONS.values() if action in actions),
                        confidence=self._confidences.get(machine.id, self._confidence),
                        match_type="llm",
                    )
                )
        return tuple(toggles)

    def _list(self, found: Mapping[str, Any], key: str, where: str) -> list[str]:
        if key not in found:
            return []
        items = found[key]
        if not isinstance(items, list):
            raise NotAnAnswer(f"{where} is {_kind(items)}, not a list of machine ids")
        self.given = True
        return [machine_id for item in items if (machine_id := self._known(item, where)) is not None]

    def _known(self, item: object, where: str) -> str | None:
        machine_id = _upper(item)
        if machine_id in self._ids:
            return machine_id
        shown = repr(clip(item, 40)) if isinstance(item, str) else _kind(item)
        self._dropped.append(f"{where}: {shown} is no machine of {self._surgery.surgery}")
        return None

    def _claim(self, machine_id: str, actions: frozenset[Action]) -> None:
        self._may_be[machine_id] = self._may_be.get(machine_id, actions) & actions


def _table(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise NotAnAnswer(f"{key} is {_kind(table)}, not an object")
    return table


def _said(*values: object) -> object:
    """The first that is neither missing nor an empty text."""
    return next((value for value in values if value is not None and value != ""), None)


def _phase(said: object, surgery: Surgery) -> str:
    if said is None:
        return ""
    phase = _find_phase(said, surgery)
    if not phase:
        shown = repr(clip(said, 40)) if isinstance(said, str) else _kind(said)
        raise NotAnAnswer(f"phase {shown} is none of {surgery.surgery}: {', '.join(surgery.phase_ids)}")
    return phase


def _find_phase(said: object, surgery: Surgery) -> str:
    """The id of the phase of that id or name, or ""."""
    phase = surgery.phase_called(said) if isinstance(said, str) else None
    return "" if phase is None else phase.id


def _next_phase(said: tuple[object, ...], surgery: Surgery, dropped: list[str]) -> str:
    value = _said(*said)
    phase = _find_phase(value, surgery)
    if value is not None and not phase:
        dropped.append(f"next_phase: none of {surgery.surgery}")
    return phase


def _reasoning(said: tuple[object, ...], dropped: list[str]) -> str:
    value = _said(*said)
    if value is None or isinstance(value, str):
        return clean(value or "", REASONING_CHARACTERS)
    dropped.append(f"reasoning: {_kind(value)}, not a text")
    return ""


def _suggestions(lists: tuple[object, ...], dropped: list[str]) -> tuple[str, ...]:
    texts = []
    for entries in lists:
        if entries is not None and not isinstance(entries, list):
            dropped.append(f"suggestions: {_kind(entries)}, not a list")
            continue
        for entry in entries or ():
            if isinstance(entry, str) and (text := clean(entry, SUGGESTION_CHARACTERS)):
                texts.append(text)
            else:
                dropped.append("suggestions: blank" if isinstance(entry, str) else f"suggestions: {_kind(entry)}")
    kept = distinct(texts)
    if len(kept) > MAX_SUGGESTIONS:
        dropped.append(f"suggestions: {len(kept) - MAX_SUGGESTIONS} more than {MAX_SUGGESTIONS}")
    return tuple(kept[:MAX_SUGGESTIONS])


def _confidence(value: object) -> float:
    """Between 0 and 1; 0 for what is no number. Compared before it is converted: an int may be too big for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0.0
    return float(max(0, min(1, value)))


def _upper(item: object) -> str:
    return item.strip().upper() if isinstance(item, str) else ""


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")
