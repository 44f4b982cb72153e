"""Guesses at what comes next: where they are found, and how far they go."""

from hypothesis import given
from hypothesis import strategies as st

from stages.inference.drafts import HOPE, SHORTEST_KEY, Drafts

PROMPT = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
FAR = list(range(100, 200))


def test_what_followed_the_same_tokens_in_the_prompt_is_guessed() -> None:
    drafts = Drafts([], PROMPT, most=32, row_cost=0.1)
    drafts.grow([3, 4])
    assert drafts.guess(3) == [5, 6, 7]


def test_the_last_answer_comes_before_the_prompt() -> None:
    drafts = Drafts([3, 4, 50, 51], PROMPT, most=32, row_cost=0.1)
    drafts.grow([3, 4])
    assert drafts.guess(2) == [50, 51]


def test_what_this_answer_itself_went_on_with_comes_before_the_last_answer() -> None:
    drafts = Drafts([3, 4, 50, 51], PROMPT, most=32, row_cost=0.1)
    drafts.grow([3, 4, 60, 61, 3, 4])
    assert drafts.guess(2) == [60, 61]


def test_more_tokens_in_common_count_for_more_than_being_later() -> None:
    drafts = Drafts([9, 3, 4, 70], PROMPT, most=32, row_cost=0.1)
    drafts.grow([2, 3, 4])
    assert drafts.guess(1) == [5]


def test_an_answer_begins_with_a_guess_at_how_the_last_one_began() -> None:
    assert Drafts([50, 51, 52, 53], PROMPT, most=32, row_cost=0.1).guess(3) == [50, 51, 52]


def test_nothing_is_guessed_after_what_was_never_seen() -> None:
    drafts = Drafts([], PROMPT, most=32, row_cost=0.1)
    drafts.grow([4, 3])
    assert drafts.guess(8) == []


def test_one_token_in_common_is_too_few_for_a_guess() -> None:
    drafts = Drafts([], PROMPT, most=32, row_cost=0.1)
    drafts.grow([99, 4])
    assert SHORTEST_KEY == 2
    assert drafts.guess(8) == []


def test_most_0_guesses_nothing_however_good_it_would_be() -> None:
    drafts = Drafts(PROMPT, PROMPT, most=0, row_cost=0.1)
    drafts.grow([3, 4])
    drafts.learn(4, 4)
    assert drafts.guess(8) == []


def test_without_room_nothing_is_guessed() -> None:
    drafts = Drafts([], PROMPT, most=32, row_cost=0.1)
    drafts.grow([3, 4])
    assert drafts.guess(0) == drafts.guess(-1) == []


def far(row_cost: float = 0.25) -> Drafts:
    """It has a hundred tokens to guess from."""
    drafts = Drafts([], FAR, most=20, row_cost=row_cost)
    drafts.grow(FAR[:4])
    return drafts


def test_guesses_that_were_right_go_further_next_time_up_to_the_most() -> None:
    drafts = far()
    first = len(drafts.guess(90))
    drafts.learn(first, first)
    assert first < len(drafts.guess(90)) <= 20
    drafts.learn(20, 20)
    assert len(drafts.guess(90)) == 20


def test_guesses_that_were_wrong_go_less_far_next_time() -> None:
    drafts = far()
    first = len(drafts.guess(90))
    drafts.learn(first, 0)
    assert len(drafts.guess(90)) < first


def test_what_stood_behind_the_first_wrong_token_does_not_count() -> None:
    few, many = far(), far()
    few.learn(2, 1)
    many.learn(20, 1)
    assert few.guess(90) == many.guess(90)


def test_the_dearer_a_row_the_shorter_the_guess() -> None:
    lengths = [len(far(row_cost).guess(90)) for row_cost in (0.05, 0.2, 0.6, 0.9, 1.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[1] > lengths[2] == 2
    assert lengths[-2:] == [0, 0]


def test_the_last_token_of_a_guess_is_right_as_often_as_its_row_costs() -> None:
    length = len(far(0.25).guess(90))
    assert HOPE**length >= 0.25 > HOPE ** (length + 1)


def test_after_wrong_guesses_it_tries_again_some_time_later() -> None:
    drafts = far(0.6)
    drafts.learn(2, 0)
    drafts.learn(2, 0)
    waited = 0
    while not drafts.guess(90):
        waited += 1
        assert waited < 100
    assert waited > 2


def test_a_step_without_a_guess_teaches_nothing() -> None:
    drafts = far()
    before = drafts.guess(90)
    drafts.learn(0, 0)
    assert drafts.guess(90) == before


@given(
    earlier=st.lists(st.integers(0, 300), max_size=30),
    prompt=st.lists(st.integers(0, 300), max_size=30),
    grown=st.lists(st.integers(0, 3), max_size=30),
    most=st.integers(0, 12),
    room=st.integers(-1, 12),
    row_cost=st.floats(0, 1),
    results=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5),
)
def test_a_guess_stood_before_after_the_same_two_tokens_and_is_never_too_long(
    earlier: list[int],
    prompt: list[int],
    grown: list[int],
    most: int,
    room: int,
    row_cost: float,
    results: list[tuple[int, int]],
) -> None:
    drafts = Drafts(earlier, prompt, most, row_cost)
    drafts.grow(grown)
    for guessed, right in results:
        drafts.learn(guessed, min(guessed, right))
    guess = drafts.guess(room)
    assert len(guess) <= max(0, min(most, room))
    if guess:
        seen = [*prompt, *earlier, *prompt[-4:], *grown]
        places = [seen[at : at + 2 + len(guess)] for at in range(len(seen))]
        assert [*seen[-2:], *guess] in places
