"""Typed lines as messages: what is sent, in which order, at which time."""

import pytest

from pipeline.errors import OrstateError
from pipeline.feed import typed
from pipeline.messages import SessionEnd, SessionStart, Transcript


def sent(*lines: str, told: list[str] | None = None, session: str = "or1") -> list[object]:
    times = iter(range(100))
    return list(typed(lines, session, "PCNL", [].append if told is None else told.append, lambda: float(next(times))))


def test_each_line_is_said_at_the_time_it_comes_between_a_start_and_an_end() -> None:
    common = {"session": "or1", "publisher": "publish"}
    assert sent("suction on\n", "\n", "Scrub Nurse: lights on\n") == [
        SessionStart(**common, seq=1, t=0.0, surgery="PCNL"),
        Transcript(**common, seq=2, t=1.0, text="suction on"),
        Transcript(**common, seq=3, t=2.0, text="lights on", speaker="Scrub Nurse"),
        SessionEnd(**common, seq=4, t=2.0),
    ]


def test_time_never_runs_backwards_behind_a_line_that_names_its_own() -> None:
    messages = sent('{"t": 50, "text": "a"}', "b", '{"t": 3, "text": "c"}')
    assert [message.t for message in messages] == [0.0, 50.0, 50.0, 50.0, 50.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", ["{broken", '{"text": 1}', "x" * 4001, "bell \x07", '{"t": -1, "text": "a"}'])
def test_a_line_that_is_no_message_is_told_and_leaves_no_gap(line: str) -> None:
    told: list[str] = []
    messages = sent(line, "suction on", told=told)
    assert [message.seq for message in messages] == [1, 2, 3]  # type: ignore[attr-defined]
    assert told[0].startswith("line 1 is not sent: ")


def test_a_session_that_is_no_name_is_refused() -> None:
    with pytest.raises(OrstateError, match="--session 'two words'"):
        sent(session="two words")
