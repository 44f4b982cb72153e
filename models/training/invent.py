"""Surgeries that nobody wrote down: other devices, names, ids, phases and orders. Used by training only.

So a model learns to read the dictionary in its prompt. A part of the devices is made up, so that nothing but the
dictionary can tell which id is meant. Some specialties and devices are kept for validation alone.
"""

from random import Random
from typing import Any

from models.training.cues import cues
from models.training.rooms import Part, PhaseTalk, Room, Thing, absent_names, split
from models.training.vocabulary import table
from stages.surgery import Machine, Phase, Surgery

_BEGINNING = ("preparation", "induction")
_ENDING = ("emergence",)
_STANDARD = ("monitor", "anesthesia", "ventilator", "lights", "suction", "infusion", "warmer")


def invented_room(rng: Random, number: int, part: Part) -> Room:
    """A room of its own. `number` makes its surgery's name the only one."""
    chosen = rng.choice([s for s in table("specialties").values() if _fits(s, part)])
    known = _phases(rng, chosen)
    keys = _devices(rng, chosen, known, part)
    phases = _written_phases(rng, known)
    things = _things(rng, keys, known, phases)
    name = rng.choice(chosen["names"])
    surgery = Surgery(
        surgery=f"{name} {number}",
        full_name=name,
        environment=_environment(rng, chosen),
        phases=tuple(phases),
        machines=tuple(thing.machine for thing in things),
    )
    talk = tuple(PhaseTalk(phase, tuple(p["said"]), tuple(p["nouns"])) for phase, p in zip(phases, known, strict=True))
    return Room(surgery, things, talk, absent_names(things))


def _fits(entry: dict[str, Any], part: Part) -> bool:
    """Held-out specialties are for validation and no others are."""
    return bool(entry.get("held_out")) == (part == "validation")


def _phases(rng: Random, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """What its phases are, in order; the beginning and the end are the same everywhere, if they are there."""
    keys = [*(key for key in _BEGINNING if rng.random() < 0.85), *chosen["phases"]]
    if rng.random() < 0.25 and len(chosen["phases"]) > 2:
        keys.remove(rng.choice(chosen["phases"]))
    if rng.random() < 0.6 and not {"closure", "liver_closure", "chest_closure", "nephrostomy"} & set(keys):
        keys.append("closure")
    keys += [key for key in _ENDING if rng.random() < 0.8]
    return [{**table("phases")[key], "key": key} for key in keys]


def _written_phases(rng: Random, known: list[dict[str, Any]]) -> list[Phase]:
    """As a dictionary has them. Two phases of one name would be one phase for who speaks."""
    style, phases, names = rng.choice(table("rooms")["ids"]["phases"]), [], set[str]()
    for n, (phase, told_by) in enumerate(zip(known, cues(rng, known), strict=True)):
        free = [name for name in phase["names"] if name not in names] or [f"{phase['names'][0]} {n}"]
        name = rng.choice(free)
        names.add(name)
        slug = "-".join(split(name.replace("&", "").replace("'", "")))[:30].strip("-")
        letter = "ABCDEFGHIJKLMN"[n]
        phase_id = style.format(n=n + 1, n0=n, slug=slug, letter=letter)
        about = rng.choice([*phase["about"], ""]) or phase["about"][0]
        phases.append(Phase(id=phase_id, name=name, description=about, cues=told_by))
    return phases


def _devices(rng: Random, chosen: dict[str, Any], known: list[dict[str, Any]], part: Part) -> list[str]:
    """Keys of the devices, "" for one that is made up; of devices that do the same only one."""
    devices = table("devices")
    fitting = list(dict.fromkeys([*chosen["devices"], *(key for p in known for key in p["uses"])]))
    rng.shuffle(fitting)
    standard = [key for key in _STANDARD if rng.random() < 0.7]
    strange = rng.sample(list(devices), 4)
    wanted = rng.randint(4, 16)
    pool = [*standard, *fitting[: max(2, wanted - len(standard))], *strange[: rng.randint(0, 3)]]
    rng.shuffle(pool)
    keys: list[str] = []
    taken: set[str] = set()
    for key in pool:
        kind = devices[key].get("like", key)
        if kind not in taken and (part == "validation" or not devices[key].get("held_out")):
            taken |= {kind, key}
            keys.append(key)
    if rng.random() < 0.5:
        keys += [""] * rng.randint(1, 3)
    keys = keys[:20]
    if rng.random() < 0.5:
        rng.shuffle(keys)
    return keys


def _things(rng: Random, keys: list[str], known: list[dict[str, Any]], phases: list[Phase]) -> tuple[Thing, ...]:
    numbers = list(range(1, len(keys) + 1))
    if rng.random() < 0.4:
        numbers = rng.sample(range(100), len(keys))
    used: set[str] = set()
    things = []
    for key, number in zip(keys, numbers, strict=True):
        device = table("devices")[key] if key else _made_up(rng)
        names = [n for n in device["names"] if n.casefold() not in used]
        spoken = [s for s in device["spoken"] if s.casefold() not in used]
        if not names or not spoken:
            continue
        name = rng.choice(names)
        rng.shuffle(spoken)
        aliases = spoken[: rng.randint(1, 4)] if rng.random() < 0.93 else []
        usage = tuple(
            phase.id
            for phase, p in zip(phases, known, strict=True)
            if key in p["uses"] or (not key and rng.random() < 0.5)
        )
        starts_on = device.get("starts_on", False) if rng.random() < 0.9 else rng.random() < 0.3
        machine = Machine(
            id=f"M{number:02d}",
            name=name,
            category=device["category"],
            default_state="ON" if starts_on else "OFF",
            phase_usage=usage,
            aliases=tuple(aliases),
        )
        said = [*aliases, name.split("(")[0].strip().lower()]
        if key and rng.random() < 0.25:  # a name that is known everywhere, though it does not stand here
            said += spoken[:5]
        used |= {word.casefold() for word in (*said, *device["spoken"], *device["names"])}
        things.append(Thing(machine, tuple(dict.fromkeys(said)), device if key else {}, key))
    return tuple(things)


def _made_up(rng: Random) -> dict[str, Any]:
    """A device of no maker: only the dictionary tells what it is."""
    words = table("rooms")["made"]
    brand = rng.choice(words["first"]) + rng.choice(words["second"])
    noun = rng.choice(words["nouns"])
    spoken = [brand.lower(), f"{brand.lower()} {noun}"]
    if rng.random() < 0.5:
        spoken.append(f"{rng.choice(words['colours'])} {rng.choice(words['places'])}")
    name = f"{brand} {noun.title()}" if rng.random() < 0.7 else f"{brand} {rng.randint(2, 90) * 10}"
    return {"names": [name], "spoken": spoken, "category": rng.choice(words["categories"])}


def _environment(rng: Random, chosen: dict[str, Any]) -> str:
    word = rng.choice(table("rooms")["environments"]["words"]).format(n=rng.randint(1, 14))
    return f"{rng.choice(chosen['rooms'])} {word}"
