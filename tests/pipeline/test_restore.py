"""The past of a process, read from the journal of its run."""

from pathlib import Path

import pytest

from pipeline.codec import INPUT_TYPES, encode, type_name
from pipeline.journal import JournalWriter
from pipeline.messages import Input, Learned, LLMResponse, Message, SessionStart, SurgeryState, Transcript, Verdict
from pipeline.restore import ALIVE_EVERY, Journal

START = SessionStart(session="a", seq=1, t=0.0, surgery="PCNL")
ANSWER = LLMResponse(request_id="q1", outcome="ok", success=True, degraded=False)
LEARNED = Learned(verdict=Verdict(job_id="s/a/0/1", kind="session", session="a", epoch=0, outcome="ok", t=1.0), after=3)
STATE = SurgeryState(session="a", seq=1, t=0.0, based_on=1, outcome="ok", degraded=False, state={}, place=1)


def write(path: Path, *messages: Message) -> None:
    with_inputs = JournalWriter(path)
    for message in messages:
        with_inputs.write(type_name(message), encode(message), 0.0, wall_ns=5_000_000_000)
    with_inputs.close()


def line(seq: int) -> Input:
    return Transcript(session="a", seq=seq, t=1.0, text="hello")


def test_messages_of_the_kinds_asked_for_come_in_order_over_all_files_with_their_time(tmp_path: Path) -> None:
    write(tmp_path / "inputs-1.mcap", START, line(2), LEARNED)
    write(tmp_path / "inputs-2.mcap", line(3), ANSWER)
    write(tmp_path / "outputs-1.mcap", STATE)
    past = Journal(tmp_path, 10_000)
    assert [message for _, message in past.read(*INPUT_TYPES)] == [START, line(2), line(3)]
    assert [message for _, message in past.read(Learned)] == [LEARNED]
    assert [message for _, message in past.read(*INPUT_TYPES, LLMResponse)][-1] == ANSWER
    assert [message for _, message in past.read(SurgeryState)] == [STATE]
    assert {wall_s for wall_s, _ in past.read(*INPUT_TYPES)} == {5.0}


def test_it_is_read_side_by_side_and_again_and_is_what_it_was_at_the_start(tmp_path: Path) -> None:
    write(tmp_path / "inputs-1.mcap", START, line(2))
    past = Journal(tmp_path, 10_000)
    write(tmp_path / "inputs-2.mcap", line(3))
    one, other = past.read(*INPUT_TYPES), past.read(*INPUT_TYPES)
    assert [next(one).message, next(other).message, next(one).message] == [START, START, line(2)]
    assert list(one) == []


def test_what_cannot_be_read_is_told_and_the_next_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = JournalWriter(tmp_path / "inputs-1.mcap")
    writer.write("Transcript", b"\xc1")  # refused when it came, too
    writer.write("LLMResponse", b"\xc1")
    writer.write("Transcript", encode(line(2)))
    writer.close()
    write(tmp_path / "inputs-2.mcap", line(3))
    past = Journal(tmp_path, 10_000)
    assert [message for _, message in past.read(*INPUT_TYPES, LLMResponse)] == [line(3)]
    assert "not all that was journalled is known again" in capsys.readouterr().err


def test_a_long_journal_shows_signs_of_life(tmp_path: Path) -> None:
    write(tmp_path / "inputs-1.mcap", *(line(seq) for seq in range(3 * ALIVE_EVERY)))
    past, signs = Journal(tmp_path, 10_000), list[int]()
    past.alive = lambda: signs.append(1)
    assert len(list(past.read(*INPUT_TYPES))) == 3 * ALIVE_EVERY
    assert len(signs) == 3
