"""How near the published states of a session come to its truth. Runs in the command's process.

A toggle is a machine that goes on, or off or to standby, in the published lists from one state to the next; what only
says again how a machine is, in the truth or in the states, is none. All times are message time.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, TypeVar

import msgspec

from benchmarks.eval.truth import Truth
from pipeline.messages import SurgeryState

WITHIN_S: Final = 10.0  # a toggle this near to the true one is right
T = TypeVar("T")
Steps = Sequence[tuple[float, T]]  # a value and since when it holds, in the order of time


class Toggled(msgspec.Struct, frozen=True, order=True):
    """A machine changed to `state` at `t`."""

    t: float
    id: str
    state: Literal["ON", "OFF"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one session, or of several: scores add up."""

    matched: int = 0  # toggles, each true one with at most one published
    missed: tuple[Toggled, ...] = ()
    false: tuple[Toggled, ...] = ()
    machine_s: float = 0.0  # machine-seconds in all, and those in which the published state was right
    machine_right_s: float = 0.0
    phase_s: float = 0.0
    phase_right_s: float = 0.0

    def __add__(self, other: "Score") -> "Score":
        return Score(**{name: getattr(self, name) + getattr(other, name) for name in Score.__struct_fields__})

    def figures(self) -> dict[str, float]:
        """Each between 0 and 1; a share of nothing is 1."""
        right, said, true = self.matched, self.matched + len(self.false), self.matched + len(self.missed)
        return {
            "toggle_precision": _share(right, said),
            "toggle_recall": _share(right, true),
            "toggle_f1": _share(2 * right, said + true),
            "machine_time": _share(self.machine_right_s, self.machine_s),
            "phase_time": _share(self.phase_right_s, self.phase_s),
        }

    def counts(self) -> dict[str, int]:
        """How many toggles there were."""
        missed, false = len(self.missed), len(self.false)
        return {"true": self.matched + missed, "published": self.matched + false, "matched": self.matched}


def score(truth: Truth, machine_ids: Iterable[str], states: Sequence[SurgeryState], end: float) -> Score:
    """The score of a session's published states from 0 to `end`, its last message."""
    ids = tuple(machine_ids)
    states = sorted(states, key=lambda state: state.t)  # of those of one time, in the order published, the last counts
    said = _machine_steps(ids, [(state.t, frozenset(state.state["machines"]["1"])) for state in states])
    true = _machine_steps(ids, list(_true_lists(truth)))
    matched, missed, false = match(_toggles(true), _toggles(said))
    starts = sorted(truth.phases, key=lambda phase: phase.start_s)
    begin = min(starts[0].start_s, end) if starts else end
    return Score(
        matched=matched,
        missed=tuple(missed),
        false=tuple(false),
        machine_s=end * len(ids),
        machine_right_s=sum(agreeing_s(true[i], said[i], 0.0, end) for i in ids),
        phase_s=end - begin,
        phase_right_s=agreeing_s(
            [(start.start_s, start.phase) for start in starts],
            [(state.t, state.state["metadata"]["phase"]) for state in states],
            begin,
            end,
        ),
    )


def match(
    true: Iterable[Toggled], said: Iterable[Toggled], within_s: float = WITHIN_S
) -> tuple[int, list[Toggled], list[Toggled]]:
    """How many pairs of one machine and state lie within that time, and the toggles left without a partner.

    For each machine and state the earliest two that may be partners are: on a line, with one bound for all, no other
    choice gives more pairs.
    """
    kinds: dict[tuple[str, str], tuple[deque[Toggled], deque[Toggled]]] = defaultdict(lambda: (deque(), deque()))
    for side, toggles in enumerate((true, said)):
        for toggle in sorted(toggles):
            kinds[toggle.id, toggle.state][side].append(toggle)
    matched, missed, false = 0, list[Toggled](), list[Toggled]()
    for truths, saids in kinds.values():
        while truths and saids:
            later = round(saids[0].t - truths[0].t, 6)
            if later > within_s:
                missed.append(truths.popleft())
            elif later < -within_s:
                false.append(saids.popleft())
            else:
                matched += 1
                truths.popleft()
                saids.popleft()
        missed += truths
        false += saids
    return matched, sorted(missed), sorted(false)


def agreeing_s(one: Steps[T], other: Steps[T], begin: float, end: float) -> float:
    """For how long between `begin` and `end` two step functions have one value; before its first step one has none."""
    times = [begin, *sorted({t for t, _ in (*one, *other) if begin < t < end}), end]
    return sum(until - t for t, until in pairwise(times) if _at(one, t) == _at(other, t) is not None)


def _true_lists(truth: Truth) -> Iterator[tuple[float, frozenset[str]]]:
    on = frozenset(truth.initial_on)
    yield 0.0, on
    for switch in sorted(truth.machines, key=lambda switch: switch.t):
        on = on | {switch.id} if switch.state == "ON" else on - {switch.id}
        yield switch.t, on


def _machine_steps(ids: Iterable[str], lists: Steps[frozenset[str]]) -> dict[str, list[tuple[float, str]]]:
    """Of each machine the changes between ON and OFF, and how it was at first."""
    steps: dict[str, list[tuple[float, str]]] = {machine_id: [] for machine_id in ids}
    for t, on in lists:
        for machine_id, own in steps.items():
            state = "ON" if machine_id in on else "OFF"
            if not own or own[-1][1] != state:
                own.append((t, state))
    return steps


def _toggles(steps: Mapping[str, Steps[str]]) -> Iterator[Toggled]:
    for machine_id, own in steps.items():
        for t, state in own[1:]:
            yield Toggled(t, machine_id, "ON" if state == "ON" else "OFF")


def _at(steps: Steps[T], t: float) -> T | None:
    """The value at `t`; of several steps at one time the last counts."""
    number = bisect_right(steps, t, key=lambda step: step[0])
    return steps[number - 1][1] if number else None


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
