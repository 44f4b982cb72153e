"""The words that moved a machine, found in the line as it was said."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.page.marks import Cause, Segment, segments


def marked(text: str, *causes: Cause) -> list[str]:
    return [part.text for part in segments(text, causes) if part.machines]


def test_words_are_found_whatever_their_letters_and_punctuation() -> None:
    parts = segments("Well, turn on the C-Arm!", (Cause("M04", "turn on the c arm", "c arm"),))
    assert parts == (
        Segment("Well, "),
        Segment("turn on the ", ("M04",)),
        Segment("C-Arm", ("M04",), True),
        Segment("!"),
    )


def test_one_construction_may_move_two_machines_each_by_its_own_name() -> None:
    words = "turn on the suction and the pump"
    parts = segments("Turn on the suction and the pump.", (Cause("M06", words, "suction"), Cause("M05", words, "pump")))
    assert [part.text for part in parts if part.named] == ["suction", "pump"]
    assert parts[0] == Segment("Turn on the ", ("M06", "M05"))


def test_a_filler_between_the_words_does_not_hide_them() -> None:
    assert marked("turn the uh suction, off", Cause("M06", "turn the suction off", "suction"))
    assert (
        "".join(marked("turn the uh suction, off", Cause("M06", "turn the suction off", "")))
        == "turn the uh suction, off"
    )


def test_a_word_within_another_word_is_not_it() -> None:
    assert marked("The vacuuming is over", Cause("M06", "vacuum", "vacuum")) == []


def test_the_name_is_marked_even_where_the_words_are_not_found() -> None:
    assert marked("leave it off, the fluoroscopy", Cause("M04", "never said", "fluoroscopy")) == ["fluoroscopy"]


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=20), st.text(max_size=10)), max_size=4))
def test_the_pieces_are_the_line_whatever_it_is(text: str, said: list[tuple[str, str]]) -> None:
    causes = [Cause(f"M{at:02}", words, trigger) for at, (words, trigger) in enumerate(said)]
    assert "".join(part.text for part in segments(text, causes)) == text
