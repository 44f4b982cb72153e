"""What one who watches knows of a pipeline."""

from contextlib import closing
from pathlib import Path

from pipeline.codec import encode, encode_json
from pipeline.journal import JournalWriter
from pipeline.messages import SurgeryState
from pipeline.room import QUIET_S, Room, recall


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
