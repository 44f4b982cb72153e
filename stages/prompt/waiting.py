"""What was told for later, until its time comes. Runs in the prompt process.

A condition is a time, or words: then it has come when a line or an observation says so ("the tube is in"), or when
the phase that the words belong to begins; for "after" when that is said to be over, or the phase has passed.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from pipeline.messages import Action, Deferred
from stages.prompt.cues import PhaseCues
from stages.prompt.rules import Later

MOST: Final = 32  # that wait in one session; the oldest is forgotten
_MARKERS: Final = frozenset(
    (
        "when",
        "once",
        "if",
        "unless",
        "as",
        "soon",
        "until",
        "till",
        "wait",
        "for",
        "case",
        "moment",
        "time",
        "by",
        "right",
        "directly",
        "immediately",
        "waiting",
        "provided",
        "only",
        "just",
        "straight",
        "shortly",
        "whenever",
        "every",
        "each",
        "assuming",
        "supposing",
        "first",
        "let",
        "me",
    )
)
_OVER: Final = frozenset(("after", "following", "upon"))


class Waiting(NamedTuple):
    """One that waits: `stems` of its condition; `over`: for the end of what they say."""

    shown: Deferred
    stems: tuple[str, ...]
    over: bool
    phase: str  # that the condition belongs to, or ""


class WaitingList:
    """All that wait in one session, in the order they were told."""

    def __init__(self, cues: PhaseCues, phases: tuple[str, ...]) -> None:
        self._cues = cues
        self._phases = phases
        self._waiting: list[Waiting] = []

    def shown(self) -> tuple[Deferred, ...]:
        """What waits."""
        return tuple(waiting.shown for waiting in self._waiting)

    def add(self, later: Iterable[Later], t: float) -> int:
        """Told at `t`; how many of before are forgotten because too many wait.

        What was told before of the same machine for later no longer stands.
        """
        for one in later:
            toggle = one.toggle
            self.forget(toggle.machine_id)
            words = one.waits_for.split()
            stems = self._cues.stems.content([w for w in words if w not in _MARKERS and w not in _OVER], keep=True)
            over = not _OVER.isdisjoint(words) and {"is", "are", "has", "have", "we", "i"}.isdisjoint(words)
            stems = () if one.delay_s is not None else stems
            self._waiting.append(Waiting(one.shown(t), stems, over, self._cues.phase_of(stems)))
        too_many = max(0, len(self._waiting) - MOST)
        del self._waiting[:too_many]
        return too_many

    def forget(self, machine_id: str, action: Action | None = None) -> None:
        """Somebody switched the machine, or told it something else for later."""
        self._waiting = [
            w
            for w in self._waiting
            if w.shown.machine_id != machine_id or (action is not None and w.shown.action != action)
        ]

    def at(self, t: float) -> list[Deferred]:
        """Those whose time has come."""
        return self._come(lambda w: w.shown.due_t is not None and w.shown.due_t <= t)

    def said(self, words: Iterable[str]) -> list[Deferred]:
        """Those whose condition these words state."""
        said = list(words)
        if not self._waiting or not said:
            return []
        return self._come(lambda w: bool(w.stems) and self._cues.asserts(said, w.stems, done=w.over))

    def entered(self, phase: str) -> list[Deferred]:
        """Those whose condition is that this phase has come."""
        at = self._phases.index(phase)

        def has_come(waiting: Waiting) -> bool:
            return waiting.phase != "" and self._phases.index(waiting.phase) + waiting.over <= at

        return self._come(has_come)

    def _come(self, has_come: Callable[[Waiting], bool]) -> list[Deferred]:
        come = [w for w in self._waiting if has_come(w)]
        if come:
            self._waiting = [w for w in self._waiting if w not in come]
        return [w.shown for w in come]
