"""A session of a journal beside what was true in it. Runs in the command's process."""

import msgspec

from benchmarks.eval.scores import Score, Toggled, score
from benchmarks.eval.truth import Truth
from commands.report.case import Change, Moment, Session
from commands.report.spans import Span, spans
from pipeline.messages import SurgeryState
from stages.surgery import Surgery


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What was true, how near the states come to it, and what in them is wrong."""

    score: Score
    on: dict[str, list[Span]]  # when each machine was on
    phases: list[Span]
    false: frozenset[Toggled]

    def is_right(self, change: Change) -> bool | None:
        """None for a change to standby that is none of ON and OFF, as of a machine that was off."""
        if not change.machine:
            return any(span.begin <= change.t < span.end and span.value == change.to for span in self.phases)
        false = Toggled(change.t, change.machine, "ON" if change.to == "ON" else "OFF") in self.false
        return None if change.to == "STANDBY" and not false else not false


def judge(session: Session, surgery: Surgery, truth: Truth) -> Judged:
    """How right the session's states are, by the rules of the evaluation of sessions."""
    end = session.end_s
    ids = [machine.id for machine in surgery.machines]
    scored = score(truth, ids, [_slim(session.name, moment) for moment in session.moments], end)
    starts = sorted(truth.phases, key=lambda phase: phase.start_s)
    switches = sorted(truth.machines, key=lambda switch: switch.t)
    on = {}
    for machine in ids:
        steps = [(0.0, "ON" if machine in truth.initial_on else "")]
        steps += [(switch.t, "ON" if switch.state == "ON" else "") for switch in switches if switch.id == machine]
        on[machine] = spans(steps, end)
    return Judged(
        score=scored,
        on=on,
        phases=spans([(start.start_s, start.phase) for start in starts], end),
        false=frozenset(scored.false),
    )


def _slim(session: str, moment: Moment) -> SurgeryState:
    """A state with what the score looks at."""
    state = {"machines": {"1": list(moment.on)}, "metadata": {"phase": moment.phase}}
    return SurgeryState(session=session, seq=0, t=moment.t, based_on=0, outcome="ok", degraded=False, state=state)
