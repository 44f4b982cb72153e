"""What is read of a journal, and how it compares with the truth."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.eval.truth import PhaseStart, Switch, Truth
from commands.report.case import read_case
from commands.report.counts import figures
from commands.report.judged import judge
from commands.report.spans import Span, differing, spans
from pipeline.errors import OrstateError
from pipeline.journal import JournalWriter
from pipeline.messages import Message, SessionEnd, SessionStart
from stages.surgery import Surgery


def test_what_moved_a_machine_stands_with_the_line_that_moved_it(journal: Path) -> None:
    (session,) = read_case(journal).sessions
    moved = {entry.input.seq: [(c.machine, c.to, c.by) for c in entry.changes] for entry in session.entries}
    assert moved == {
        1: [],
        2: [("M06", "ON", "rule"), ("", "Phase3", "model")],
        3: [],
        4: [("M07", "ON", "override")],
        5: [("M06", "STANDBY", "rule")],
        6: [],
    }
    (suction, _) = session.entries[1].changes
    assert suction.toggle is not None
    assert suction.toggle.words == "turn on the suction"
    assert session.entries[1].took_ms == {"rule": 2.0, "model": 900.0}
    assert [entry.answer.outcome for entry in session.entries if entry.answer] == ["ok", "stage_crashed"]


def test_what_is_counted(journal: Path) -> None:
    told = figures(read_case(journal), {})
    (session,) = told["sessions"]
    assert told["inputs"] == {"SessionStart": 1, "Transcript": 3, "Override": 1, "SessionEnd": 1}
    assert (told["restarts"], told["unread_records"], sum(told["dead_letters"].values())) == ({"prompt": 1}, 0, 1)
    assert session["states"] == {"ok": 6, "stage_crashed": 1}
    assert session["answers"] == {"ok": 1, "stage_crashed": 1}
    assert session["moved"] == {"machines": 3, "phases": 1}
    assert session["degraded_share"] == pytest.approx(0.2)  # from 40 to 60 of 100 s
    assert session["latency_ms"]["rule"] == {"median": 1.5, "p95": pytest.approx(1.95), "max": 2.0}


def test_a_session_that_begins_anew_is_another_one(write: Callable[..., Path]) -> None:
    def start(seq: int, surgery: str) -> Message:
        return SessionStart(session="or1", seq=seq, t=0.0, surgery=surgery)

    end = SessionEnd(session="or1", seq=3, t=1.0)
    again = (start(1, "PCNL"), start(2, "PCNL"), end, start(4, "PCNL"), start(5, "Lobectomy"))
    sessions = read_case(write(*again)).sessions
    assert [(s.number, s.start.surgery, len(s.entries), s.ended) for s in sessions] == [
        (1, "PCNL", 3, True),
        (2, "PCNL", 1, False),
        (3, "Lobectomy", 1, False),
    ]


def test_records_of_another_version_are_counted_and_the_rest_is_read(journal: Path) -> None:
    with_odd = JournalWriter(journal / "outputs-2.mcap")
    with_odd.write("SurgeryState", b'{"type":"SurgeryState","session":"or1"}')
    odd = (
        b'{"type":"SurgeryState","session":"or1","seq":9,"t":1,"based_on":1,"outcome":"ok","degraded":false,"state":{}}'
    )
    with_odd.write("SurgeryState", odd)
    with_odd.write("Completion", b"\xc1")
    with_odd.write("Transcript", b"{}")
    with_odd.close()
    case = read_case(journal)
    assert (case.unread, len(case.sessions[0].moments)) == (4, 7)
    assert [stage for _, stage in case.restarts] == ["prompt", "parse"]


def test_what_is_no_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match="no journal"):
        read_case(tmp_path)
    (tmp_path / "x").write_text("x")
    with pytest.raises(OrstateError, match="no MCAP file"):
        read_case(tmp_path / "x")


def test_right_wrong_and_missed_are_those_of_the_evaluation(journal: Path, surgeries: dict[str, Surgery]) -> None:
    truth = Truth(
        surgery="PCNL",
        initial_on=("M01", "M09"),
        machines=(Switch(12.0, "M06", "ON"), Switch(50.0, "M05", "ON")),
        phases=(PhaseStart("Phase1", 0.0), PhaseStart("Phase3", 30.0)),
    )
    (session,) = read_case(journal).sessions
    judged = judge(session, surgeries["PCNL"], truth)
    verdicts = {(c.machine, c.to): judged.is_right(c) for entry in session.entries for c in entry.changes}
    assert verdicts == {("M06", "ON"): True, ("", "Phase3"): False, ("M07", "ON"): False, ("M06", "STANDBY"): False}
    assert [(toggle.id, toggle.state) for toggle in judged.score.missed] == [("M05", "ON")]
    assert judged.score.phase_right_s == 80.0
    assert judged.on["M06"] == [Span(12.0, 100.0, "ON")]


def test_steps_become_spans_and_spans_are_compared() -> None:
    steps = [(0.0, "a"), (2.0, "a"), (5.0, "b"), (5.0, ""), (8.0, "a")]
    assert spans(steps, 10.0) == [Span(0.0, 5.0, "a"), Span(8.0, 10.0, "a")]
    assert spans([], 10.0) == []
    one, other = [Span(0.0, 5.0, "a"), Span(5.0, 9.0, "b")], [Span(0.0, 6.0, "a")]
    assert differing(one, other, 0.0, 10.0) == [Span(5.0, 9.0, "differs")]
    assert differing(one, one, 0.0, 10.0) == []
