"""When a case was degraded, also if the model was heard again before time went on."""

from commands.report.case import Moment
from commands.report.spans import Span
from commands.report.timeline import _outages


def moment(t: float, outcome: str) -> Moment:
    return Moment(
        t=t,
        wall_s=t,
        outcome=outcome,
        phase="P1",
        by="rule",
        on=frozenset(),
        standby=frozenset(),
        set_by={},
        total_ms=None,
    )


def test_an_outage_within_one_moment_of_message_time_is_shown_and_one_that_lasts_is_shown_once() -> None:
    heard = [(0.0, "ok"), (10.0, "stage_crashed"), (10.0, "ok"), (20.0, "timeout"), (20.0, "timeout"), (30.0, "ok")]
    found = _outages([moment(t, outcome) for t, outcome in heard], 40.0)
    assert sorted(found) == [Span(10.0, 10.0, "stage_crashed"), Span(20.0, 30.0, "timeout")]
