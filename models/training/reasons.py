"""Why and tips: the words of an answer. Used by training only."""

from collections.abc import Mapping
from random import Random
from typing import Final

from models.training.clauses import STATE
from models.training.phrases import Phrases
from models.training.rooms import Room
from models.training.talk import Said
from models.training.vocabulary import table
from pipeline.messages import Action
from stages.answer import MAX_TIPS, TIP_CHARACTERS, WHY_CHARACTERS
from stages.surgery import Phase

_LIKE: Final = {
    "bare": "command", "want": "command", "long": "command", "courtesy": "command", "numbers": "command",
    "mixed": "command", "three": "command", "first": "command", "last": "command", "back": "correction",
    "work": "chatter", "trigger": "command",
}  # fmt: skip


def why(
    rng: Random, phrases: Phrases, room: Room, said: Said, effects: Mapping[str, Action], phase: str, speaker: str
) -> str:
    """One short sentence. `effects` are those of the whole answer, `speaker` is "" if nobody knows."""
    surgery = room.surgery
    kind = _LIKE.get(said.kind, said.kind)
    if kind == "keep":
        kind = "keep_on" if "ON" in effects.values() else "keep_off"
    if kind == "unknown" and effects:
        kind = "command"
    if kind == "phase" and effects:
        kind = "command"
    if not effects and kind in ("command", "correction", "reference", "fact", "indirect", "all", "keep_on", "keep_off"):
        kind = "chatter"  # what was said is in force already
    if effects and kind not in table("answers")["why"]:
        kind = "command"
    if effects and kind in (
        "chatter",
        "question",
        "mention",
        "part",
        "amounts",
        "story",
        "elsewhere",
        "deferred",
        "unreal",
        "decoy",
        "bystander",
    ):
        kind = "command"
    names = {thing.id: thing.called for thing in room.things}
    other = surgery.phase(said.topic)
    words = {
        "speaker": f"the {speaker.lower()}" if speaker.lower() in _ROLES else speaker,
        "done": _done(effects, names),
        "on": _listed([names[i] for i, action in effects.items() if action == "ON"]),
        "off": _listed([names[i] for i, action in effects.items() if action != "ON"]),
        "names": _listed([thing.called for thing in said.named]),
        "named": _listed([thing.called for thing in said.named]),
        "part": said.topic,
        "device": said.topic,
        "phase": _phase(surgery.phase(phase)),
        "other": _phase(other),
    }
    templates = [t for t in table("answers")["why"][kind] if speaker or "{speaker}" not in t]
    text = phrases.say(rng.choice(templates), rng, {name: (lambda word=word: word) for name, word in words.items()})
    text = text[:1].upper() + text[1:]
    return text if len(text) <= WHY_CHARACTERS else text[: WHY_CHARACTERS - 1].rsplit(" ", 1)[0] + "."


def tips(
    rng: Random, phrases: Phrases, room: Room, said: Said, machines: Mapping[str, Action], phase: str
) -> tuple[str, ...]:
    """What is to be prepared: for later, for a machine that is missing, or for the next phase. At most two."""
    words, surgery = table("answers")["tips"], room.surgery
    following = surgery.phase(surgery.phase_after(phase))
    slots = {"next": _phase(following) if following else "the end", "device": said.topic}
    chosen: list[str] = []
    if said.kind == "deferred" and said.named:
        chosen.append(_tip(rng, phrases, words["deferred"], slots | {"a": f"the {said.named[0].called}"}))
    elif said.kind == "unknown" and rng.random() < 0.6:
        chosen.append(_tip(rng, phrases, words["unknown"], slots))
    if rng.random() < 0.25:
        return tuple(chosen)
    missing = (
        []
        if following is None
        else [t for t in room.things if following.id in t.machine.phase_usage and machines[t.id] != "ON"]
    )
    if missing and rng.random() < 0.6:
        chosen.append(_tip(rng, phrases, words["machine"], slots | {"a": f"the {rng.choice(missing).called}"}))
    elif following is not None:
        chosen.append(_tip(rng, phrases, words["phase"], slots))
    else:
        chosen.append(rng.choice(words["last"]))
    return tuple(tip for tip in dict.fromkeys(chosen) if len(tip) <= TIP_CHARACTERS)[:MAX_TIPS]


def _tip(rng: Random, phrases: Phrases, templates: list[str], slots: Mapping[str, str]) -> str:
    text = phrases.say(rng.choice(templates), rng, {name: (lambda word=word: word) for name, word in slots.items()})
    return text[:1].upper() + text[1:]


_ROLES: Final = frozenset(
    ("surgeon", "nurse", "anesthetist", "assistant", "circulator", "scrub nurse", "anesthesia nurse", "perfusionist",
     "technician", "resident", "patient", "student", "visitor", "radio", "phone")
)  # fmt: skip


def _phase(phase: Phase | None) -> str:
    return "" if phase is None else phase.name


def _done(effects: Mapping[str, Action], names: Mapping[str, str]) -> str:
    return ", ".join(
        f"{_listed([names[i] for i, a in effects.items() if a == action])} {STATE[action]}"
        for action in STATE
        if action in effects.values()
    )


def _listed(names: list[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:3])} and more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
