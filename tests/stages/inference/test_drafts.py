"""Guesses at what comes next: where they are found, and how far they go."""

from hypothesis import given
from hypothesis import strategies as st

from stages.inference.drafts import FEWEST, FIRST, SHORTEST_KEY, Drafts

PROMPT = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
FAR = list(range(100, 200))


def test_what_followed_the_same_tokens_in_the_prompt_is_guessed() -> None:
    drafts = Drafts([], PROMPT, most=32)
    drafts.grow([3, 4])
    assert drafts.guess(3) == [5, 6, 7]


def test_the_last_answer_comes_before_the_prompt() -> None:
    drafts = Drafts([3, 4, 50, 51], PROMPT, most=32)
    drafts.grow([3, 4])
    assert drafts.guess(2) == [50, 51]


def test_what_this_answer_itself_went_on_with_comes_before_the_last_answer() -> None:
    drafts = Drafts([3, 4, 50, 51], PROMPT, most=32)
    drafts.grow([3, 4, 60, 61, 3, 4])
    assert drafts.guess(2) == [60, 61]


def test_more_tokens_in_common_count_for_more_than_being_later() -> None:
    drafts = Drafts([9, 3, 4, 70], PROMPT, most=32)
    drafts.grow([2, 3, 4])
    assert drafts.guess(1) == [5]


def test_an_answer_begins_with_a_guess_at_how_the_last_one_began() -> None:
    assert Drafts([50, 51, 52, 53], PROMPT, most=32).guess(3) == [50, 51, 52]


def test_nothing_is_guessed_after_what_was_never_seen() -> None:
    drafts = Drafts([], PROMPT, most=32)
    drafts.grow([4, 3])
    assert drafts.guess(8) == []


def test_one_token_in_common_is_too_few_for_a_guess() -> None:
    drafts = Drafts([], PROMPT, most=32)
    drafts.grow([99, 4])
    assert SHORTEST_KEY == 2
    assert drafts.guess(8) == []


def test_most_0_guesses_nothing_however_good_it_would_be() -> None:
    drafts = Drafts(PROMPT, PROMPT, most=0)
    drafts.grow([3, 4])
    drafts.learn(4, 4)
    assert drafts.guess(8) == []


def test_without_room_nothing_is_guessed() -> None:
    drafts = Drafts([], PROMPT, most=32)
    drafts.grow([3, 4])
    assert drafts.guess(0) == drafts.guess(-1) == []


def far() -> Drafts:
    """It has a hundred tokens to guess from."""
    drafts = Drafts([], FAR, most=20)
    drafts.grow(FAR[:4])
    return drafts


def test_guesses_that_were_right_go_further_next_time_up_to_the_most() -> None:
    drafts = far()
    assert len(drafts.guess(90)) == FIRST
    drafts.learn(FIRST, FIRST)
    assert len(drafts.guess(90)) == 2 * FIRST
    drafts.learn(2 * FIRST, 2 * FIRST)
    assert len(drafts.guess(90)) == 20


def test_guesses_that_were_wrong_go_less_far_next_time_but_not_to_nothing() -> None:
    drafts = far()
    drafts.learn(8, 4)
    assert len(drafts.guess(90)) == 5
    drafts.learn(5, 0)
    assert len(drafts.guess(90)) == FEWEST


def test_a_step_without_a_guess_teaches_nothing() -> None:
    drafts = far()
    drafts.learn(0, 0)
    assert len(drafts.guess(90)) == FIRST


@given(
    earlier=st.lists(st.integers(0, 300), max_size=30),
    prompt=st.lists(st.integers(0, 300), max_size=30),
    grown=st.lists(st.integers(0, 3), max_size=30),
    most=st.integers(0, 12),
    room=st.integers(-1, 12),
    results=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5),
)
def test_a_guess_stood_before_after_the_same_two_tokens_and_is_never_too_long(
    earlier: list[int], prompt: list[int], grown: list[int], most: int, room: int, results: list[tuple[int, int]]
) -> None:
    drafts = Drafts(earlier, prompt, most)
    drafts.grow(grown)
    for guessed, right in results:
        drafts.learn(guessed, min(guessed, right))
    guess = drafts.guess(room)
    assert len(guess) <= max(0, min(most, room))
    if guess:
        seen = [*prompt, *earlier, *prompt[-4:], *grown]
        places = [seen[at : at + 2 + len(guess)] for at in range(len(seen))]
        assert [*seen[-2:], *guess] in places
