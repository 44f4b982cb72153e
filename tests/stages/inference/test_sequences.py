"""Which sequence a prompt goes to, what of it is there already, and what is pushed out for it."""

import pytest
from fake_decoder import FakeDecoder
from hypothesis import given
from hypothesis import strategies as st

from stages.inference.native import Row
from stages.inference.sequences import Sequence, Sequences, common

HEAD, OTHER_HEAD = [1, 2, 3, 4], [5, 6, 7]
PREFIXES = 2


class Store:
    """Two places for prefixes and some for prompts, over a decoder without a model."""

    def __init__(self, cells: int = 100, others: int = 3, unified: bool = True, recurrent: bool = False) -> None:
        count = PREFIXES + others
        self.decoder = FakeDecoder(cells=cells, sequences=count, rows=cells, unified=unified, recurrent=recurrent)
        self.sequences = Sequences(self.decoder, count=count, prefixes=PREFIXES, cells=cells, unified=unified)

    def prefix(self, tokens: list[int]) -> Sequence:
        """That prefix, computed if it is not there."""
        found = self.sequences.prefix(tokens)
        if found is None:
            found = self.sequences.take_prefix(tokens)
            assert found is not None
            self.compute(found, tokens)
            self.sequences.release(found)
        return found

    def begin(self, prompt: list[int], owner: str = "s", head: list[int] = HEAD, answer: int = 4) -> Sequence | None:
        return self.sequences.take(prompt, self.prefix(head), owner, answer)

    def ask(self, prompt: list[int], owner: str = "s", head: list[int] = HEAD) -> tuple[Sequence, int]:
        """The sequence that a prompt went to, and how much of it was there. It is released."""
        sequence = self.begin(prompt, owner, head)
        assert sequence is not None
        reused = len(sequence.tokens)
        self.compute(sequence, prompt[reused:])
        self.sequences.release(sequence)
        return sequence, reused

    def compute(self, sequence: Sequence, tokens: list[int]) -> None:
        start = len(sequence.tokens)
        self.decoder.decode([Row(token, start + at, sequence.number, False) for at, token in enumerate(tokens)])
        sequence.tokens += tokens


@given(
    begin=st.lists(st.integers(0, 9)), held=st.lists(st.integers(0, 9)), wanted=st.lists(st.integers(0, 9)), same=...
)
def test_what_two_have_in_common_ends_at_the_first_difference(
    begin: list[int], held: list[int], wanted: list[int], same: bool
) -> None:
    held, wanted = begin * same + held, begin * same + wanted
    length = common(held, wanted)
    assert held[:length] == wanted[:length]
    assert length == min(len(held), len(wanted)) or held[length] != wanted[length]


def test_a_prompt_begins_with_the_prefix() -> None:
    store = Store()
    sequence, reused = store.ask([*HEAD, 10, 11])
    assert reused == len(HEAD)
    assert store.sequences.held == store.decoder.cells_taken == len(HEAD) + 2
    assert sequence.tokens == [*HEAD, 10, 11]


def test_a_prompt_goes_on_from_the_sequence_that_holds_most_of_it() -> None:
    store = Store()
    first, _ = store.ask([*HEAD, 10, 11], "s1")
    store.ask([*HEAD, 20], "s2")
    again, reused = store.ask([*HEAD, 10, 11, 12], "s2")
    assert (again, reused) == (first, 6)


def test_the_last_token_of_a_prompt_is_computed_although_it_is_held() -> None:
    store = Store()
    store.ask([*HEAD, 10, 11])
    assert store.ask([*HEAD, 10, 11])[1] == 5


def test_of_a_prompt_that_is_its_prefix_the_last_token_is_computed() -> None:
    assert Store().ask(HEAD)[1] == len(HEAD) - 1


def test_what_comes_after_the_common_part_is_forgotten() -> None:
    store = Store()
    store.ask([*HEAD, 10, 11, 12, 13])
    sequence, reused = store.ask([*HEAD, 10, 20])
    assert (reused, sequence.tokens) == (5, [*HEAD, 10, 20])
    assert store.decoder.held[sequence.number] == [*HEAD, 10, 20]


def test_a_prompt_with_nothing_new_in_common_takes_the_place_of_its_owner() -> None:
    store = Store()
    store.ask([*HEAD, 10], "s1")
    mine, _ = store.ask([*HEAD, 20], "s2")
    store.ask([*HEAD, 30], "s3")
    assert store.ask([*HEAD, 40], "s2")[0] is mine


def test_a_new_owner_takes_an_empty_place_and_then_that_unused_for_longest() -> None:
    store = Store(others=2)
    first, _ = store.ask([*HEAD, 10], "s1")
    second, _ = store.ask([*HEAD, 20], "s2")
    assert second is not first
    store.ask([*HEAD, 10, 11], "s1")
    assert store.ask([*HEAD, 30], "s3")[0] is second


def test_a_sequence_at_work_is_given_to_nobody_else() -> None:
    store = Store(others=2)
    first, second = store.begin([*HEAD, 10]), store.begin([*HEAD, 10])
    assert first is not None
    assert second is not None
    assert first is not second
    assert store.begin([*HEAD, 10]) is None
    store.sequences.release(first)
    assert store.begin([*HEAD, 10]) is first


def test_cells_are_made_free_by_emptying_what_was_unused_for_longest_and_prefixes_last() -> None:
    store = Store(cells=22, others=3)
    store.ask([*HEAD, 10, 11, 12], "s1")
    store.ask([*HEAD, 20, 21, 22], "s2")
    store.prefix(OTHER_HEAD)
    store.ask([*HEAD, 10, 11, 12, 13], "s1")
    sequence, _ = store.ask([*OTHER_HEAD, 30, 31, 32, 33], "s3", OTHER_HEAD)  # may come to need 8 more, of 11 taken
    assert store.sequences.evicted == 0
    store.ask([*OTHER_HEAD, 30, 31, 32, 33, 34, 35], "s3", OTHER_HEAD)
    assert store.decoder.held[sequence.number] == [*OTHER_HEAD, 30, 31, 32, 33, 34, 35]
    held = [tokens for tokens in store.decoder.held if tokens]
    assert [*HEAD, 20, 21, 22] not in held
    assert [*HEAD, 10, 11, 12, 13] in held
    assert HEAD in held
    assert store.sequences.evicted == 1


def test_a_prefix_is_pushed_out_only_for_another_and_never_while_a_prompt_that_began_with_it_is_at_work() -> None:
    store = Store()
    store.begin([*HEAD, 10])
    store.prefix(OTHER_HEAD)
    third, fourth = [8, 8], [9, 9]
    store.prefix(third)
    assert store.sequences.prefix(HEAD) is not None
    assert store.sequences.prefix(OTHER_HEAD) is None
    store.begin([*third, 10], "t", third)
    assert store.sequences.take_prefix(fourth) is None


def test_of_two_prefixes_that_unused_for_longest_goes() -> None:
    store = Store()
    store.prefix(HEAD)
    store.prefix(OTHER_HEAD)
    store.ask([*HEAD, 10])
    store.prefix([9, 9])
    assert store.sequences.prefix(HEAD) is not None
    assert store.sequences.prefix(OTHER_HEAD) is None


def test_a_prefix_that_finds_no_room_waits() -> None:
    store = Store(cells=20)
    sequence = store.begin([*HEAD, *range(10, 20)])
    assert sequence is not None
    assert store.sequences.take_prefix(OTHER_HEAD) is None
    store.sequences.release(sequence)
    assert store.sequences.take_prefix(OTHER_HEAD) is not None


def test_what_began_with_another_prefix_is_not_gone_on_from() -> None:
    """It shares cells with that one, which could not be pushed out while this prompt is at work."""
    store = Store(others=1)
    store.ask([*HEAD, 10, 11])
    assert store.ask([*HEAD, 10, 11, 12], head=[1])[1] == 1
    assert store.sequences.held == store.decoder.cells_taken == len(HEAD) + 7


def test_the_place_of_a_prompt_is_free_before_the_prefix_that_it_began_with_is_pushed_out() -> None:
    store = Store(cells=17, others=2)
    store.ask([*HEAD, 10, 11], "s1")
    store.prefix(OTHER_HEAD)
    busy = store.begin([*OTHER_HEAD, 10, 11], "s2", OTHER_HEAD)
    assert busy is not None
    assert store.begin([*OTHER_HEAD, *range(10, 15)], "s1", OTHER_HEAD, answer=6) is None
    assert store.sequences.prefix(HEAD) is None
    assert store.sequences.held == store.decoder.cells_taken == len(OTHER_HEAD)


def test_a_model_that_cannot_forget_a_part_begins_anew_with_the_prefix() -> None:
    store = Store(others=1, recurrent=True)
    store.ask([*HEAD, 10, 11, 12])
    assert store.ask([*HEAD, 10, 20])[1] == len(HEAD)
    assert store.ask([*HEAD, 10, 20, 21])[1] == 6  # but it can go on from where it is


def test_sequences_with_cells_of_their_own_share_none_and_push_out_nothing() -> None:
    store = Store(cells=50, others=3, unified=False)
    for number, owner in enumerate(["s1", "s2", "s3"]):
        store.ask([*HEAD, 10 * number], owner)
    assert store.decoder.cells_taken == store.sequences.held == 4 * len(HEAD) + 3
    assert store.sequences.evicted == 0


def test_nothing_is_reused_of_what_was_spoilt() -> None:
    store = Store()
    store.ask([*HEAD, 10, 11])
    sequence = store.begin([*HEAD, 10, 11, 12])
    assert sequence is not None
    store.sequences.spoil_all()
    assert store.sequences.held == store.decoder.cells_taken == 0
    assert store.sequences.prefix(HEAD) is None
    assert not sequence.at_work


@pytest.mark.parametrize("unified", [True, False])
def test_the_same_prompts_again_and_again_take_no_more_cells(unified: bool) -> None:
    store = Store(unified=unified)
    taken = set()
    for _ in range(20):
        store.ask([*HEAD, 10, 11], "s1")
        store.ask([*HEAD, 20], "s2")
        taken.add(store.decoder.cells_taken)
    assert len(taken) == 1 or (len(taken) == 2 and not unified)
