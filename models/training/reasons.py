"""Why and tips: the words of an answer. Used by training only."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from models.training.clauses import STATE
from models.training.rooms import Room
from models.training.said import Said
from models.training.vocabulary import phrases, table
from pipeline.messages import Action
from stages.answer import TIP_CHARACTERS, WHY_CHARACTERS
from stages.surgery import Phase

_ORDER: Final = "order"
_ROLES: Final = frozenset(
    ("surgeon", "nurse", "anesthetist", "assistant", "circulator", "scrub nurse", "anesthesia nurse", "perfusionist",
     "technician", "resident", "operator", "patient", "student", "visitor", "radio", "phone")
)  # fmt: skip


def why(rng: Random, room: Room, said: Said, effects: Mapping[str, Action], phase: str, speaker: str) -> str:
    """One short sentence. `effects` are those of the whole answer, `speaker` is "" if nobody knows."""
    names = {thing.id: thing.called for thing in room.things}
    words = {
        "speaker": f"the {speaker.lower()}" if speaker.lower() in _ROLES else speaker,
        "done": _done(effects, names),
        "on": _listed([names[i] for i, action in effects.items() if action == "ON"]),
        "off": _listed([names[i] for i, action in effects.items() if action != "ON"]),
        "named": _listed([thing.called for thing in said.named]),
        "topic": said.topic,
        "phase": _name(room.surgery.phase(phase)),
        "other": _name(room.surgery.phase(said.topic)),
    }
    fitting = [template for template in _reasons(said, effects) if speaker or "{speaker}" not in template]
    text = _said(rng, fitting, words)
    return text if len(text) <= WHY_CHARACTERS else text[: WHY_CHARACTERS - 1].rsplit(" ", 1)[0] + "."


def tips(rng: Random, room: Room, said: Said, machines: Mapping[str, Action], phase: str) -> tuple[str, ...]:
    """What is to be prepared: for later, for a machine that is missing, or for the next phase. At most two."""
    words, surgery = table("answers")["tips"], room.surgery
    following = surgery.phase(surgery.phase_after(phase))
    slots = {"next": _name(following), "topic": said.topic}
    chosen: list[str] = []
    if said.kind == "deferred":
        chosen.append(_said(rng, words["deferred"], slots | {"a": said.named[0].called}))
    elif said.kind == "unknown" and rng.random() < 0.6:
        chosen.append(_said(rng, words["unknown"], slots))
    if rng.random() < 0.75:
        missing = [t for t in room.things if _starts(t.machine.phase_usage, following) and machines[t.id] != "ON"]
        if missing and rng.random() < 0.7:
            chosen.append(_said(rng, words["machine"], slots | {"a": missing[0].called}))
        else:
            chosen.append(_said(rng, words["phase" if following else "last"], slots))
    return tuple(tip for tip in dict.fromkeys(chosen) if len(tip) <= TIP_CHARACTERS)


def _reasons(said: Said, effects: Mapping[str, Action]) -> list[str]:
    """Templates that fit; what switches nothing because it is so already is only talk."""
    answers = table("answers")
    kind = said.kind
    if kind == "keep":
        kind = "keep_on" if "ON" in effects.values() else "keep_off"
    reasons: list[str] = answers["switching"].get(kind, answers["switching"][_ORDER])
    if not effects:
        reasons = answers["idle"].get(kind, answers["idle"]["chatter"])
    return reasons


def _starts(usage: tuple[str, ...], phase: Phase | None) -> bool:
    """Whether that phase is the first that a machine is used in."""
    return phase is not None and usage[:1] == (phase.id,)


def _said(rng: Random, templates: list[str], words: Mapping[str, str]) -> str:
    text = phrases().say(rng.choice(templates), rng, {name: _constant(word) for name, word in words.items()})
    return text[:1].upper() + text[1:]


def _constant(word: str) -> Callable[[], str]:
    return lambda: word


def _name(phase: Phase | None) -> str:
    return "" if phase is None else phase.name


def _done(effects: Mapping[str, Action], names: Mapping[str, str]) -> str:
    """What is switched: "suction and camera on, laser off"."""
    return ", ".join(
        f"{_listed([names[i] for i, a in effects.items() if a == action])} {STATE[action]}"
        for action in STATE
        if action in effects.values()
    )


def _listed(names: list[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:3])} and more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
