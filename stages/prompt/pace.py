"""How often the model is asked, by how fast it answers. Runs in the prompt process.

An answer costs the model the time that it took, shared by all that waited for one then: four at a time cost each a
quarter. A session may ask again once all questions since its own last one, that one too, fit into the message time
since, at the wanted utilization of the model. So a model that answers in a tenth of a second is asked at every line,
and many sessions together ask it no more often than one alone does; one that was quiet is not held up by its own.

Costs are journalled, with what was learned, and taken from there by a process that goes on: it asks as the one before
would have. In lockstep an answer takes no message time, so nothing is measured and every line is asked about.
"""

from collections import deque
from statistics import median
from typing import Final, Literal

UNMEASURED_S: Final = 1.0  # what an answer costs before one came
REMEMBERED: Final = 5  # costs, of which the middle one counts: the first answer of a surgery takes ten times as long


class Pace:
    """The pause between two questions of a session: a fixed one, or `auto`."""

    def __init__(self, interval_s: float | Literal["auto"], utilization: float, *, lockstep: bool) -> None:
        """`utilization`: the share of the time, 0 to 1, in which the model may be at work on sessions."""
        self.asked = 0  # questions of all sessions
        self._fixed_s = 0.0 if lockstep and interval_s == "auto" else interval_s
        self._utilization = utilization
        self._costs = deque[float](maxlen=REMEMBERED)

    def learn(self, cost_s: float | None) -> None:
        """What an answer cost; None if that was not measured."""
        if cost_s is not None:
            self._costs.append(cost_s)

    def pause_s(self, number: int) -> float:
        """Message time between the question of that number (`asked`, counted from 1) and its session's next one."""
        if self._fixed_s != "auto":
            return self._fixed_s
        cost_s = median(self._costs) if self._costs else UNMEASURED_S
        return cost_s * (self.asked - number + 1) / self._utilization


def cost_s(asked_ns: int, now_ns: int, waiting: int) -> float:
    """What an answer cost in seconds, when `waiting` were waited for as it was asked, itself too."""
    return max(0, now_ns - asked_ns) / 1e9 / max(1, waiting)
