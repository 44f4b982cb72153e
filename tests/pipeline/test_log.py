"""Logs for a replay: what is taken, what is left out and told, what is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.codec import encode, encode_json
from pipeline.errors import OrstateError
from pipeline.journal import JournalWriter
from pipeline.log import Log
from pipeline.messages import Input, LLMRequest, Override, SessionEnd, SessionStart, Transcript

HEADER = '{"surgery": "PCNL", "session": "or1"}'
LINE = '{"t": 1.5, "speaker": "Surgeon", "text": "suction on"}'
LAST = '{"t": 9.0, "text": "lights on"}'


def lines(folder: Path, *content: str | bytes, name: str = "case 7.jsonl") -> Path:
    """A .jsonl of those lines."""
    path = folder / name
    path.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in content))
    return path


def journal(path: Path, *messages: Input | LLMRequest, close: bool = True) -> Path:
    """A journal of those messages."""
    writer = JournalWriter(path)
    for message in messages:
        writer.write(type(message).__name__, encode(message), getattr(message, "t", 0.0))
    writer.flush()
    if close:
        writer.close()
    return path


# --- .jsonl ----------------------------------------------------------------------------------------------


def test_a_plain_log_becomes_a_session_with_a_start_its_lines_and_an_end(tmp_path: Path) -> None:
    log = Log(lines(tmp_path, HEADER, LINE, LAST))
    common: dict[str, Any] = {"session": "or1", "publisher": "replay"}
    assert log.messages == [
        SessionStart(**common, seq=1, t=0.0, surgery="PCNL", started_at=0.0),
        Transcript(**common, seq=2, t=1.5, text="suction on", speaker="Surgeon"),
        Transcript(**common, seq=3, t=9.0, text="lights on"),
        SessionEnd(**common, seq=4, t=9.0),
    ]
    assert log.faults == []
    assert log.duration_s() == 9.0


def test_without_a_header_the_surgery_is_given_and_the_session_bears_the_name_of_the_file(tmp_path: Path) -> None:
    log = Log(lines(tmp_path, LINE), surgery="Lobectomy")
    assert log.messages[0] == SessionStart(
        session="case-7", seq=1, t=0.0, surgery="Lobectomy", started_at=0.0, publisher="replay"
    )
    assert len(log.messages) == 3


@pytest.mark.parametrize(
    ("header", "session", "started_at"),
    [
        ('{"surgery": "PCNL"}', "case-7", 0.0),
        ('{"surgery":"PCNL","session":"a.b:c","started_at":1700000000}', "a.b:c", 1.7e9),
    ],
)
def test_the_header_may_name_session_and_start(tmp_path: Path, header: str, session: str, started_at: float) -> None:
    start = Log(lines(tmp_path, header, LINE)).messages[0]
    assert isinstance(start, SessionStart)
    assert (start.session, start.started_at) == (session, started_at)


def test_a_given_surgery_replaces_the_one_that_the_log_names(tmp_path: Path) -> None:
    change = '{"type": "SessionStart", "t": 3.0, "surgery": "Partial Hepatectomy"}'
    log = Log(lines(tmp_path, HEADER, LINE, change), surgery="Lobectomy")
    assert [m.surgery for m in log.messages if isinstance(m, SessionStart)] == ["Lobectomy", "Lobectomy"]


def test_a_line_with_a_type_is_any_input(tmp_path: Path) -> None:
    override = '{"type": "Override", "t": 2.0, "machine": "M01", "action": "OFF"}'
    change = '{"type": "SessionStart", "t": 2.5, "surgery": "Lobectomy"}'
    log = Log(lines(tmp_path, HEADER, override, change))
    assert log.messages[1] == Override(session="or1", seq=2, t=2.0, publisher="replay", machine="M01", action="OFF")
    assert log.messages[2] == SessionStart(session="or1", seq=3, t=2.5, publisher="replay", surgery="Lobectomy")


def test_a_log_is_one_session_whatever_its_lines_say(tmp_path: Path) -> None:
    log = Log(lines(tmp_path, HEADER, '{"t": 2.0, "text": "x", "session": "or2", "publisher": "asr", "seq": 99}'))
    assert [(m.session, m.publisher, m.seq) for m in log.messages if isinstance(m, Input)] == [
        ("or1", "replay", 1),
        ("or1", "replay", 2),
        ("or1", "replay", 3),
    ]


BAD_LINES: list[tuple[str | bytes, str]] = [
    ('{"t": 2.0, "text": "cut o', "truncated"),
    ("no JSON", "malformed|Invalid"),
    ("[1, 2]", "Expected `object`"),
    ('"text"', "Expected `object`"),
    ('{"t": 2.0}', "missing required field `text`"),
    ('{"text": "x"}', "missing required field `t`"),
    ('{"t": "2", "text": "x"}', r"Expected `float`, got `str` - at `\$.t`"),
    ('{"t": -2, "text": "x"}', r"at `\$.t`"),
    ('{"t": 2.0, "text": "\\u0007"}', r"control character U\+0007"),
    ('{"t": 2.0, "text": "x", "speaker": 3}', r"at `\$.speaker`"),
    ('{"type": "Nonsense", "t": 2.0}', "Invalid value 'Nonsense'"),
    ('{"type": "Override", "t": 2.0, "machine": "pump", "action": "ON"}', r"at `\$.machine`"),
    ('{"type": 5, "t": 2.0}', "type"),
    (b'{"t": 2.0, "text": "\xff\xfe"}', "(?i)utf-8"),
    ('{"t": 2.0, "text": ' + "[" * 100_000, "recursion"),
]


@pytest.mark.parametrize(("bad", "what"), BAD_LINES)
def test_a_bad_line_is_told_with_file_and_number_and_the_rest_is_replayed(
    tmp_path: Path, bad: str | bytes, what: str
) -> None:
    path = lines(tmp_path, HEADER, LINE, "", bad, LAST)
    log = Log(path)
    assert [m.text for m in log.messages if isinstance(m, Transcript)] == ["suction on", "lights on"]
    assert [m.seq for m in log.messages if isinstance(m, Input)] == [1, 2, 3, 4]
    (fault,) = log.faults
    assert fault.startswith(f"{path}: line 4: ")
    with pytest.raises(AssertionError, match=what):
        raise AssertionError(fault)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_on_any_system_and_the_file_may_begin_with_a_byte_order_mark(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "case.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + end.join([HEADER.encode(), LINE.encode(), b""]))
    log = Log(path)
    assert log.faults == []
    assert len(log.messages) == 3


@pytest.mark.parametrize("separator", ["\u2028", "\u2029"])
def test_a_line_separator_within_a_text_is_a_character_of_it(tmp_path: Path, separator: str) -> None:
    log = Log(lines(tmp_path, HEADER, f'{{"t": 1.0, "text": "one{separator}two"}}'))
    assert log.faults == []
    assert [m.text for m in log.messages if isinstance(m, Transcript)] == [f"one{separator}two"]


def test_a_first_line_that_speaks_of_surgery_is_a_line(tmp_path: Path) -> None:
    log = Log(lines(tmp_path, '{"t": 1.0, "text": "the \\"surgery\\" begins"}'), surgery="PCNL")
    assert [m.text for m in log.messages if isinstance(m, Transcript)] == ['the "surgery" begins']


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ('{"surgery": "PCNL", "sesion": "or1"}', "unknown field `sesion`"),
        ('{"surgery": 5}', r"Expected `str`, got `int` - at `\$.surgery`"),
        ('{"surgery": "PCNL", "session": "a b"}', r"at `\$.session`"),
        ('{"surgery": "PCNL", "started_at": -1}', r"at `\$.started_at`"),
        ('{"surgery": "PCNL"', "truncated"),
    ],
)
def test_a_wrong_header_is_an_error_with_file_and_line(tmp_path: Path, header: str, what: str) -> None:
    path = lines(tmp_path, header, LINE)
    with pytest.raises(OrstateError, match=what) as caught:
        Log(path)
    assert str(caught.value).startswith(f"{path}: line 1: ")


def test_a_log_that_names_no_surgery_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = lines(tmp_path, LINE)
    with pytest.raises(OrstateError, match=f"{path}: names no surgery; give one with --surgery"):
        Log(path)


def test_a_session_that_is_ended_is_not_ended_again(tmp_path: Path) -> None:
    log = Log(lines(tmp_path, HEADER, LINE, '{"type": "SessionEnd", "t": 3.0, "reason": "done"}'))
    assert [m.reason for m in log.messages if isinstance(m, SessionEnd)] == ["done"]


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.mcap"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(OrstateError, match=f"{tmp_path / name}: the log is empty"):
        Log(tmp_path / name, "PCNL")


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.mcap", "missing"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OrstateError, match=f"{tmp_path / name}: there is no such log"):
        Log(tmp_path / name)


# --- .mcap -----------------------------------------------------------------------------------------------

START = SessionStart(session="or1", seq=1, t=2.0, surgery="PCNL", publisher="asr")
FIRST = Transcript(session="or1", seq=2, t=3.0, text="one", publisher="asr")
SECOND = Transcript(session="or1", seq=3, t=4.0, text="two", publisher="asr")
END = SessionEnd(session="or1", seq=4, t=5.0, publisher="asr")
QUESTION = LLMRequest(request_id="r1", surgery="PCNL")


def test_a_journal_is_replayed_in_its_order_and_its_session_knows_when_it_was(tmp_path: Path) -> None:
    path = journal(tmp_path / "inputs-1.mcap", START, FIRST, QUESTION, SECOND, END)
    start, *rest = Log(path).messages
    assert rest == [FIRST, QUESTION, SECOND, END]
    assert isinstance(start, SessionStart)
    assert start.started_at is not None
    assert start.started_at > 1.6e9
    assert msgspec.structs.replace(start, started_at=None) == START


def test_a_given_start_time_is_kept_and_a_given_surgery_replaces(tmp_path: Path) -> None:
    known = msgspec.structs.replace(START, started_at=5.0)
    start = Log(journal(tmp_path / "inputs-1.mcap", known, FIRST), surgery="Lobectomy").messages[0]
    assert start == msgspec.structs.replace(known, surgery="Lobectomy")


def test_json_records_are_replayed_too(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "inputs-1.mcap")
    for message in (START, FIRST):
        writer.write(type(message).__name__, encode_json(message))
    writer.close()
    assert Log(writer.path).messages[1] == FIRST


def test_what_is_no_input_is_passed_over_and_a_bad_record_is_told_with_its_number(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "inputs-1.mcap")
    writer.write("SessionStart", encode(START))
    writer.write("PromptJob", b"\x80")
    writer.write("Transcript", b"\xc1")
    writer.write("Transcript", encode(FIRST))
    writer.close()
    log = Log(writer.path)
    assert log.messages[1:-1] == [FIRST]
    (fault,) = log.faults
    assert fault.startswith(f"{writer.path}: record 3: ")


def test_the_files_of_a_run_with_a_restart_are_one_log(tmp_path: Path) -> None:
    journal(tmp_path / "inputs-1.mcap", START, FIRST, close=False)
    journal(tmp_path / "inputs-2.mcap", SECOND, END)
    log = Log(tmp_path)
    assert log.messages[1:] == [FIRST, SECOND, END]
    assert log.faults == [
        f"{tmp_path / 'inputs-1.mcap'}: not closed by its writer; replayed up to its last whole record"
    ]


def test_a_cut_off_journal_is_replayed_up_to_its_last_whole_record_told_and_ended(tmp_path: Path) -> None:
    path = journal(tmp_path / "inputs-1.mcap", START, FIRST, SECOND)
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"two") + 1])
    log = Log(path)
    assert log.messages[1:] == [FIRST, SessionEnd(session="or1", seq=3, t=3.0, publisher="asr")]
    (fault,) = log.faults
    assert fault.startswith(f"{path}: not closed by its writer")


def test_a_journal_without_any_input_is_refused_with_its_first_fault(tmp_path: Path) -> None:
    path = journal(tmp_path / "inputs-1.mcap", close=False)
    with pytest.raises(
        OrstateError, match=f"{path}: no message in it that can be replayed; first fault: .* not closed"
    ):
        Log(path)


def test_a_file_that_is_no_mcap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs-1.mcap"
    path.write_bytes(b"something else altogether")
    with pytest.raises(OrstateError, match=f"{path}: no MCAP file"):
        Log(path)


def test_a_folder_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match=f"{tmp_path}: no journal"):
        Log(tmp_path)
