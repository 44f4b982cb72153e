"""The rolling window: what it drops, and a transcript that only grows between cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.prompt.window import TRANSCRIPT_BYTES, Window, format_line


def filled(times: list[float], window_s: float = 180.0, lines: int = 60) -> Window:
    window = Window(window_s, lines)
    for t in times:
        window.append(t, "Surgeon", f"line at {t}")
    return window


def test_a_line_that_is_exactly_as_old_as_the_window_stays_and_an_older_one_goes() -> None:
    assert len(filled([0.0, 180.0])) == 2
    window = filled([0.0, 0.1, 180.1])
    assert [entry.t for entry in window.since(0.0)] == [0.1, 180.1]
    assert (window.appended, window.evicted) == (3, 1)


def test_the_window_holds_no_more_lines_than_it_may() -> None:
    window = filled([float(t) for t in range(10)], lines=4)
    assert [entry.t for entry in window.since(0.0)] == [6.0, 7.0, 8.0, 9.0]
    assert window.evicted == 6


def test_duration_is_from_the_oldest_to_the_newest_line() -> None:
    assert filled([]).duration == 0.0
    assert filled([5.0]).duration == 0.0
    assert filled([5.0, 7.5]).duration == 2.5
    assert filled([7.5, 5.0]).duration == 2.5


def test_since_takes_the_time_itself_in() -> None:
    assert [entry.t for entry in filled([1.0, 2.0, 3.0]).since(2.0)] == [2.0, 3.0]


def test_blank_lines_are_not_taken() -> None:
    window = Window(180.0, 60)
    assert not window.append(1.0, "Surgeon", " \t\n")
    assert window.append(1.0, "Surgeon", "go")
    assert (len(window), window.appended) == (1, 1)


@pytest.mark.parametrize(
    ("speaker", "text", "line"),
    [
        ("Surgeon", "suction on", "[12.3s] Surgeon: suction on"),
        ("unknown", "suction on", "[12.3s] suction on"),
        ("", "suction on", "[12.3s] suction on"),
        ("A\nB", "on\nJSON:\r\n{}", "[12.3s] A B: on JSON: {}"),
        ("Surgeon", "one\u2028two\u0085three", "[12.3s] Surgeon: one two three"),
    ],
)
def test_a_line_is_one_line_whatever_is_said(speaker: str, text: str, line: str) -> None:
    assert format_line(12.345, speaker, text) == line


def test_a_note_stands_in_the_transcript_but_not_in_the_window() -> None:
    window = filled([1.0])
    window.note(2.0, "(video) machine M05 ON 0.4")
    assert window.transcript.endswith("[2.0s] (video) machine M05 ON 0.4\n")
    assert len(window) == 1


def test_the_transcript_is_cut_to_about_half_when_it_has_too_many_lines() -> None:
    window = filled([float(t) for t in range(10)], lines=10)
    assert window.transcript.count("\n") == 10
    window.append(10.0, "Surgeon", "one more")
    assert window.transcript.count("\n") == 5
    assert window.transcript.endswith("one more\n")


def test_the_transcript_is_cut_to_about_half_when_a_line_gets_too_old() -> None:
    window = filled([float(t) for t in range(0, 181, 20)])
    assert window.transcript.startswith("[0.0s]")
    window.append(190.0, "Surgeon", "now")
    assert window.transcript.startswith("[100.0s]")


def test_the_transcript_keeps_the_newest_line_even_if_it_is_longer_than_half_of_the_room() -> None:
    window = filled([0.0])
    for t in (1.0, 2.0):
        window.append(t, "Surgeon", "x" * (TRANSCRIPT_BYTES // 2))
    assert window.transcript.count("\n") == 1
    assert window.transcript.startswith("[2.0s]")


LINES = st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(-4.0, 0.0), st.text(min_size=1, max_size=400)), max_size=60)


@given(LINES, st.integers(1, 12))
def test_the_window_is_exact_and_the_transcript_shows_only_what_stands_in_it(
    steps: list[tuple[float, float, str]], lines: int
) -> None:
    window, now, newest = Window(60.0, lines), 0.0, 0.0
    taken: list[float] = []
    before = ""
    for step, back, text in steps:
        now += step
        t = max(0.0, now + back)
        if window.append(t, "Nurse", text):
            newest = max(newest, t)
            taken.append(t)
            taken = [kept for kept in taken if kept >= newest - 60.0][-lines:]
            grown = window.transcript.startswith(before)
            assert grown or window.transcript.count("\n") <= max(1, lines // 2)
        assert [entry.t for entry in window.since(0.0)] == taken
        assert window.appended - window.evicted == len(window)
        shown = {format_line(e.t, e.speaker, e.text) for e in window.since(0.0)}
        assert set(window.transcript.split("\n")) <= shown | {""}
        assert len(window.transcript.encode()) <= max(TRANSCRIPT_BYTES, 2000)
        before = window.transcript


def test_what_is_hidden_leaves_the_transcript_and_stays_in_the_window() -> None:
    window = Window(180.0, 4)
    for number in range(1, 4):
        window.append(float(number), "", f"line {number}")
    shown = window.shown
    window.append(4.0, "", "line 4")
    window.hide(shown)
    assert (window.transcript, len(window)) == ("[4.0s] line 4\n", 4)
    window.hide(shown)
    assert window.transcript == "[4.0s] line 4\n"
    window.hide(window.shown)
    assert window.transcript == ""
    for number in range(5, 11):  # cut back to two meanwhile: it is counted on
        window.append(float(number), "", f"line {number}")
    window.hide(window.shown - 1)
    assert window.transcript == "[10.0s] line 10\n"
