"""What one who watches knows of a pipeline."""

from contextlib import closing
from pathlib import Path

from pipeline.codec import encode, encode_json
from pipeline.journal import JournalWriter, open_next
from pipeline.messages import SessionEnd, SessionStart, SurgeryState
from pipeline.room import QUIET_S, Ended, Ends, Room, recall


def state(session: str, seq: int) -> SurgeryState:
    return SurgeryState(session=session, seq=seq, t=9.0, based_on=1, outcome="ok", degraded=False, state={})


def test_the_newest_state_of_a_session_stays_whatever_comes_late() -> None:
    room = Room()
    for seq in (1, 3, 2):
        room.take(state("or1", seq), at=float(seq))
    (seen,) = room.sessions(1, 5.0).values()
    assert (seen.state.seq, seen.at) == (3, 3.0)


def test_a_quiet_session_is_shown_while_it_may_be_open() -> None:
    room = Room()
    room.take(state("old", 1), at=0.0)
    room.take(state("new", 1), at=QUIET_S)
    assert list(room.sessions(2, QUIET_S + 1)) == ["new", "old"]
    assert list(room.sessions(1, QUIET_S + 1)) == ["new"]
    assert list(room.sessions(0, QUIET_S - 1)) == ["new", "old"]


def test_a_session_that_has_ended_is_told_for_a_while_and_may_begin_again() -> None:
    room = Room()
    for name in ("or1", "or2", "or3"):
        room.take(state(name, 1), at=0.0)
    room.hear(SessionEnd(session="or2", seq=9, t=8.0, reason="done"), at=100.0)
    seen = room.sessions(2, 101.0)
    assert {name: one.ended for name, one in seen.items()} == {
        "or1": None,
        "or2": Ended(8.0, "done", 100.0),
        "or3": None,
    }
    assert set(room.sessions(2, QUIET_S + 101)) == {"or1", "or3"}  # it is not one of those that are open
    room.hear(SessionStart(session="or2", seq=1, t=0.0, surgery="PCNL"), at=120.0)
    assert room.sessions(3, 121.0)["or2"].ended is None


def test_starts_and_ends_are_read_in_the_journal_as_they_come(tmp_path: Path) -> None:
    room = Room()
    room.take(state("or1", 1), at=0.0)
    with closing(Ends(room, str(tmp_path))) as ends, closing(open_next(tmp_path, "inputs")) as journal:
        start, end = SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"), SessionEnd(session="or1", seq=2, t=7.0)
        for message, over in ((start, False), (end, True), (start, False)):
            journal.write(type(message).__name__, encode(message))
            journal.write("SessionEnd", b"\x81\xa4type\xa3Odd")
            journal.flush()
            assert ends.read() == ""
            assert (room.sessions(1, 0.0)["or1"].ended is not None) == over
    (tmp_path / "inputs-2.mcap").write_bytes(b"\x01" + b"\xff" * 40)
    with closing(Ends(room, str(tmp_path))) as ends:
        assert "cannot be read" in ends.read()


def test_what_was_before_is_read_from_the_journal_or_it_is_said_why_not(tmp_path: Path) -> None:
    assert "keeps no journal" in recall(Room(), "")
    assert "is not on this machine" in recall(Room(), str(tmp_path / "none"))
    with closing(JournalWriter(tmp_path / "outputs-1.mcap")) as journal:
        journal.write("SurgeryState", encode(state("or1", 1)))
        journal.write("SurgeryState", b"\x81\xa4type\xa3Odd")
        journal.write("SurgeryState", encode_json(state("or2", 5)))
    room, one = Room(), Room()
    assert recall(room, str(tmp_path)) == recall(one, str(tmp_path), "or2") == ""
    assert set(room.sessions(2, 0.0)) == {"or1", "or2"}
    assert set(one.sessions(2, 0.0)) == {"or2"}
    (tmp_path / "outputs-2.mcap").write_bytes(b"no journal")
    assert "cannot be read" in recall(room, str(tmp_path))
