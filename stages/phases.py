"""Which phase it is: a hidden Markov filter over the phases of a surgery, mostly forward. Used by prompt and parse.

Each piece of evidence is one step: the belief moves on a little (TO_NEXT and so on), then is multiplied by how much
likelier each phase makes what was said or seen. Without evidence nothing moves. The opinion of a model that was told
the phase before it answered is no evidence that adds up: it is one vote on top of the belief. Only where the rules
read nothing its answers are all the evidence there is. One that was told its own phase then says nothing where it
agrees, and else as much as a vote. One that was told none says how likely it holds each; but most of what it read it
had read before, so that counts by its SHARE_NEW-th power only.
"""

from collections.abc import Mapping
from operator import mul
from typing import Final

TO_NEXT: Final = 0.08
TO_SECOND: Final = 0.015
TO_LATER: Final = 0.004
BACK: Final = 0.008
FURTHER_BACK: Final = 0.002
SURE_TO_GO_BACK: Final = 0.7  # belief that an earlier phase needs to be taken again
MOST_EVIDENCE: Final = 10_000.0
VOTE: Final = 15.0  # a model's, when it is entirely sure
SHARE_NEW: Final = 0.3  # of what a model reads, about: lines that it had not read when it was asked before


class PhaseBelief:
    """The belief about the phase of one session. It starts in the first one."""

    def __init__(self, phases: tuple[str, ...]) -> None:
        self._phases = phases
        everywhere = range(len(phases))
        self._into = [[_move(i, j) for i in everywhere] for j in everywhere]  # by the phase that is moved to
        total = sum(_move(0, j) for j in everywhere)
        self._belief = [_move(0, j) / total for j in everywhere]
        self._now = 0
        self._weights = self._rounded()

    @property
    def phase(self) -> str:
        """The phase that is believed: the likeliest, an earlier one only if it is clear."""
        return self._phases[self._now]

    def weights(self) -> dict[str, float]:
        """How likely each phase is; they add up to 1."""
        return self._weights

    def _rounded(self) -> dict[str, float]:
        return {phase: round(p, 4) for phase, p in zip(self._phases, self._belief, strict=True)}

    def learn(self, evidence: Mapping[str, float]) -> bool:
        """Take evidence: how many times likelier it is in a phase than in one that is not named. True if it moved."""
        if not evidence:
            return False
        moved = [
            sum(map(mul, self._belief, into)) * min(MOST_EVIDENCE, evidence.get(phase, 1.0))
            for phase, into in zip(self._phases, self._into, strict=True)
        ]
        total = sum(moved)
        self._belief = [p / total for p in moved]
        self._weights = self._rounded()
        most = max(self._belief)
        likeliest = self._now if self._belief[self._now] == most else self._belief.index(most)
        before = self._now
        if likeliest > self._now or self._belief[likeliest] >= SURE_TO_GO_BACK:
            self._now = likeliest
        return self._now != before


def seen(phase: str, confidence: float, phases: int) -> dict[str, float]:
    """Evidence from a video process that is so sure to see `phase`, one of so many."""
    sure = min(0.99, max(0.01, confidence))
    return {phase: max(1.0, (phases - 1) * (sure / (1 - sure)) ** 2)}


def answered(phase: str, confidence: float) -> dict[str, float]:
    """Evidence from a model that is so sure of `phase`; none if it is not sure at all."""
    return {phase: 1.0 + (VOTE - 1.0) * confidence} if confidence > 0.0 else {}


def judged(phases: Mapping[str, float]) -> dict[str, float]:
    """Evidence from a model that was told no phase and holds each of `phases`, which are all, so likely."""
    return {phase: (len(phases) * probability) ** SHARE_NEW for phase, probability in phases.items()}


def with_vote(phase: str, belief: Mapping[str, float], vote: Mapping[str, float]) -> str:
    """The phase if that evidence is counted too."""
    likely = {each: belief.get(each, 0.0) * weight for each, weight in vote.items()}
    voted = max(likely, key=likely.__getitem__, default=phase)
    return voted if likely.get(voted, 0.0) > likely.get(phase, belief.get(phase, 0.0)) else phase


def _move(i: int, j: int) -> float:
    ahead = j - i
    if ahead == 0:
        return 0.9
    if ahead > 0:
        return (TO_NEXT, TO_SECOND, TO_LATER)[min(ahead, 3) - 1]
    return BACK if ahead == -1 else FURTHER_BACK
