"""Machine configurations: what is taken must work, from the rules to a valid state."""

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from benchmarks.fuzz.room import Room
from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import JUNK, TEXTS, as_json, mostly
from pipeline.errors import ConfigError
from pipeline.messages import SessionEnd, SessionStart, Transcript
from stages.answer import answer_schema
from stages.prompt.language import load_language
from stages.prompt.site_words import Vocabulary, clashes
from stages.surgery import Surgery, load_surgeries

LINES_READ: Final = 3


def make(folder: Path) -> Check:
    language = load_language()
    file = folder / "surgery.json"

    def check(data: bytes) -> None:
        """The file is refused by name and key, or a session of its surgery runs."""
        file.write_bytes(data)
        try:
            surgeries = load_surgeries(folder)
        except ConfigError:
            return
        if not list(clashes(surgeries.values(), language)):
            for surgery in surgeries.values():
                run(Vocabulary(surgeries, language), surgery)

    return check


def run(vocabulary: Vocabulary, surgery: Surgery) -> None:
    """A short session about `surgery`, in which its machines are named. Raises Unvalidated for a state that is none."""
    for form in ("small", "full"):
        answer_schema(surgery, form)
    room = Room(vocabulary)
    room.send(SessionStart(session="s", seq=1, t=0.0, surgery=surgery.surgery))
    for at, machine in enumerate(surgery.machines[:LINES_READ], 2):
        words = (machine.name, *machine.aliases[:1], *machine.triggers[:1])
        room.send(Transcript(session="s", seq=at, t=float(at), text=f"turn on the {', and '.join(words)}"[:4000]))
    if not any(state.session == "s" for state in room.states):
        raise Unvalidated(f"no session of {surgery.surgery!r} can begin: {room.refused[:1]}")
    room.send(SessionEnd(session="s", seq=99, t=99.0))
    room.end()


_WORDS: Final = mostly(st.sampled_from(("suction", "the pump", "turn on", "C-Arm", "-", "it", "X" * 100)), TEXTS)
_PHRASES: Final = mostly(st.lists(_WORDS, max_size=3), JUNK)
_PHASE_IDS: Final = st.sampled_from(("Phase1", "Phase2", "P-3"))
_PHASES: Final = st.fixed_dictionaries(
    {"id": mostly(_PHASE_IDS, st.just("Phase1\n")), "name": _WORDS}, optional={"description": TEXTS, "cues": _PHRASES}
)
_MACHINES: Final = st.fixed_dictionaries(
    {"id": st.sampled_from(("M01", "M02", "M03", "M99")), "name": _WORDS, "category": _WORDS},
    optional={
        "description": TEXTS,
        "default_state": st.sampled_from(("ON", "OFF")),
        "phase_usage": st.lists(_PHASE_IDS, max_size=1),
        "triggers": _PHRASES,
        "aliases": _PHRASES,
    },
)
_SURGERIES: Final = st.fixed_dictionaries(
    {
        "surgery": mostly(st.sampled_from(("X", "PCNL", "a b", " ", "\n")), TEXTS),
        "full_name": _WORDS,
        "environment": _WORDS,
        "phases": mostly(st.lists(_PHASES, min_size=1, max_size=3, unique_by=lambda phase: phase["id"]), JUNK),
        "machines": mostly(st.lists(_MACHINES, min_size=1, max_size=3, unique_by=lambda m: m["id"]), JUNK),
    },
)

TARGET: Final = Target("machines", make, _SURGERIES.map(as_json))
