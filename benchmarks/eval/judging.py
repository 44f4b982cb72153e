"""Whether what came of an utterance is what was expected of it. Runs in the command's process."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from benchmarks.eval.utterances import Utterance
from stages.prompt.language import plain

Entry = Mapping[str, Any]  # of details.toggles in the state contract


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one utterance."""

    toggles: tuple[Entry, ...] = ()
    phase: str = ""
    deferred: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    whole: bool = True  # False: the answer has no words for standby, deferred and unknown; they are not compared
    note: str = ""  # why there is nothing, if there was no answer

    def switched(self, *actions: str) -> frozenset[str]:
        """The machines that were switched so."""
        return frozenset(toggle["machine_id"] for toggle in self.toggles if toggle["action"] in actions)


def faults(row: Utterance, came: Came) -> list[str]:
    """What is not as expected, in words; empty if all is."""
    on, off, standby = came.switched("ON"), came.switched("OFF", "STANDBY"), came.switched("STANDBY")
    exact = row.way == "exact"
    found: list[str] = []
    if row.way in ("exact", "contains"):
        found += _compared("ON", row.on, on, exact) + _compared("OFF", row.off, off, exact)
    elif row.way == "absent":
        barred = on | off if row.expect_absent is None else frozenset(row.expect_absent)
        found += _compared("switched", (), barred & (on | off), exact=True)
    elif not (off & row.off if row.off else off):
        found.append(f"none of {_ids(row.off)} OFF" if row.off else "nothing OFF")
    if came.whole:
        if row.expect_standby is not None:
            found += _compared("STANDBY", row.expect_standby, standby, exact)
        if row.expect_deferred is not None:
            found += _compared("deferred", row.expect_deferred, came.deferred, exact)
        found += [f"missing {device!r} as unknown" for device in row.expect_unknown or () if not _named(device, came)]
    if row.expect_phase is not None and came.phase != row.expect_phase:
        found.append(f"phase {came.phase or 'none'}, not {row.expect_phase}")
    return found


def expected(row: Utterance) -> str:
    """What is expected, in words."""
    if row.silent:
        parts = ["nothing switched"]
    elif row.way == "absent":
        parts = [f"not switched: {_ids(row.expect_absent or ())}"]
    elif row.way == "any_off":
        parts = [f"off: {'any of ' + _ids(row.off) if row.off else 'any'}"]
    else:
        sides = (("on", row.on), ("off", row.off))
        parts = [f"{side}: {_ids(ids)}" for side, ids in sides if ids] or ["nothing switched"]
        parts[-1] += ", and nothing else" if row.way == "exact" else " at least"
    further = {
        "standby": row.expect_standby,
        "deferred": row.expect_deferred,
        "unknown": row.expect_unknown,
        "phase": row.expect_phase and (row.expect_phase,),
    }
    return "; ".join([*parts, *(f"{name}: {' '.join(given)}" for name, given in further.items() if given)])


def told(came: Came) -> str:
    """What came, in words: each toggle with what it was read from."""
    parts = [_entry(toggle) for toggle in came.toggles] or ["nothing switched"]
    if came.deferred:
        parts.append(f"deferred: {_ids(came.deferred)}")
    if came.unknown:
        parts.append(f"unknown: {', '.join(came.unknown)}")
    return "; ".join([*parts, *filter(None, [came.note])])


def _entry(toggle: Entry) -> str:
    because = [repr(toggle["trigger"])] if toggle.get("trigger") else []
    because += [str(toggle[key]) for key in ("rule", "match_type", "confidence") if toggle.get(key)]
    return f"{toggle['machine_id']} {toggle['action']} ({', '.join(because)})"


def _compared(what: str, wanted: Iterable[str], came: frozenset[str], exact: bool) -> list[str]:
    wanted = frozenset(wanted)
    missing = [f"missing {machine_id} {what}" for machine_id in sorted(wanted - came)]
    return missing + [f"{machine_id} {what}" for machine_id in sorted(came - wanted) if exact]


def _named(device: str, came: Came) -> bool:
    wanted = plain(device)
    return any(wanted in words or words in wanted for words in map(plain, came.unknown) if words)


def _ids(ids: Iterable[str]) -> str:
    return " ".join(sorted(ids)) or "none"
