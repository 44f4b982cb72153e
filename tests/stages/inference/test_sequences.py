"""Which sequence a prompt goes to, what of it is there already or on the shelf, and what is shelved for it."""

from fake_decoder import FakeDecoder, state_of
from hypothesis import given
from hypothesis import strategies as st

from stages.inference.native import Row
from stages.inference.sequences import WORTH, Sequence, Sequences, common
from stages.inference.shelf import Saved, Shelf

HEAD = list(range(1, 31))  # a beginning that is worth more than WORTH tokens


class Store:
    """Some sequences over a decoder without a model, and a shelf with one prefix."""

    def __init__(self, count: int = 3, back: int | None = None, shelf_bytes: int = 10_000) -> None:
        self.decoder = FakeDecoder(cells=100, sequences=count, rows=100, back=back)
        self.shelf = Shelf(shelf_bytes)
        self.shelf.put_prefix(Saved(HEAD, state_of(HEAD)))
        self.sequences = Sequences(self.decoder, count, self.shelf)

    def begin(self, prompt: list[int], owner: str = "s") -> tuple[Sequence, int]:
        """The sequence that a prompt went to, and how much of it was there. It is at work."""
        sequence = self.sequences.take(prompt, owner)
        assert sequence.tokens == prompt[: len(sequence.tokens)] == self.decoder.held[sequence.number]
        reused = len(sequence.tokens)
        new = prompt[reused:]
        self.decoder.decode([Row(token, reused + at, sequence.number, False) for at, token in enumerate(new)])
        sequence.tokens += new
        return sequence, reused

    def ask(self, prompt: list[int], owner: str = "s") -> tuple[Sequence, int]:
        """The same, but it is released."""
        sequence, reused = self.begin(prompt, owner)
        self.sequences.release(sequence, len(prompt))
        return sequence, reused


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


def test_a_prompt_begins_with_the_prefix_from_the_shelf() -> None:
    store = Store()
    _, reused = store.ask([*HEAD, 40, 41])
    assert reused == len(HEAD)
    assert store.sequences.held == store.decoder.cells_taken == len(HEAD) + 2
    assert (store.sequences.restored, store.sequences.shelved) == (1, 0)


def test_a_prompt_goes_on_from_the_sequence_that_holds_most_of_it() -> None:
    store = Store()
    first, _ = store.ask([*HEAD, 40, 41], "s1")
    store.ask([*HEAD, 50], "s2")
    assert store.ask([*HEAD, 40, 41, 42], "s1") == (first, len(HEAD) + 2)
    assert store.sequences.restored == 2


def test_a_sequence_of_another_session_is_taken_only_if_that_is_worth_it() -> None:
    few, many = [40] * (WORTH - 1), [40] * (WORTH + 1)
    store = Store()
    first, _ = store.ask([*HEAD, *few], "s1")
    assert store.ask([*HEAD, *few, 41], "s2")[0] is not first
    store = Store()
    first, _ = store.ask([*HEAD, *many], "s1")
    assert store.ask([*HEAD, *many, 41], "s2") == (first, len(HEAD + many))
    assert store.sequences.shelved == 1  # what it held of the first


def test_the_last_token_of_a_prompt_is_computed_although_it_is_held() -> None:
    store = Store()
    store.ask([*HEAD, 40, 41])
    assert store.ask([*HEAD, 40, 41])[1] == len(HEAD) + 1


def test_of_a_prompt_that_is_its_prefix_the_last_token_is_computed() -> None:
    assert Store().ask(HEAD)[1] == len(HEAD) - 1


def test_what_comes_after_the_common_part_is_forgotten() -> None:
    store = Store()
    first, _ = store.ask([*HEAD, 40, 41, 42, 43])
    assert store.ask([*HEAD, 40, 50]) == (first, len(HEAD) + 1)
    assert store.decoder.held[first.number] == [*HEAD, 40, 50]


def test_a_new_session_takes_an_empty_place_and_then_that_unused_for_longest() -> None:
    store = Store(count=2)
    first, _ = store.ask([*HEAD, 40], "s1")
    second, _ = store.ask([*HEAD, 50], "s2")
    assert second is not first
    store.ask([*HEAD, 40, 41], "s1")
    assert store.ask([*HEAD, 60], "s3")[0] is second


def test_a_new_session_works_next_to_those_at_work() -> None:
    store = Store(count=5)
    last, _ = store.begin([*HEAD, 40], "s1")
    numbers = [last.number, *(store.begin([*HEAD, n], f"s{n}")[0].number for n in (50, 60, 70))]
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 4))


def test_a_session_goes_on_from_the_shelf_after_its_sequence_was_taken() -> None:
    store = Store(count=1)
    store.ask([*HEAD, 40, 41], "s1")
    assert store.ask([*HEAD, 50], "s2")[1] == len(HEAD)
    assert store.ask([*HEAD, 40, 41, 42], "s1")[1] == len(HEAD) + 2
    assert store.ask([*HEAD, 50, 51], "s2")[1] == len(HEAD) + 1
    assert (store.sequences.shelved, store.sequences.restored) == (3, 4)


def test_what_nobody_goes_on_from_is_not_shelved() -> None:
    store = Store(count=1)
    store.ask([*HEAD, 40, 41], "")
    store.ask([*HEAD, 50], "s2")
    assert store.sequences.shelved == 0


def test_a_sequence_at_work_is_given_to_nobody_else() -> None:
    store = Store(count=2)
    first, _ = store.begin([*HEAD, 40])
    second, _ = store.begin([*HEAD, 40])
    assert first is not second
    assert store.sequences.free == 0
    store.sequences.release(first, len(first.tokens))
    assert store.sequences.free == 1
    assert store.begin([*HEAD, 40])[0] is first


def test_what_lasts_is_kept_of_a_sequence_when_its_work_is_over_and_is_what_is_shelved() -> None:
    store = Store(count=1)
    sequence, _ = store.begin([*HEAD, 40, 41, 60, 61])
    store.sequences.release(sequence, len(HEAD) + 2)
    assert sequence.tokens == store.decoder.held[0] == [*HEAD, 40, 41]
    store.ask([*HEAD, 50], "other")
    assert store.ask([*HEAD, 40, 41, 42, 60])[1] == len(HEAD) + 2


def test_a_sequence_that_cannot_be_cut_back_so_far_stays_whole_until_a_prompt_begins_otherwise() -> None:
    store = Store(count=1, back=3)
    sequence, _ = store.begin([*HEAD, 40, 41, 42, 43, 44])
    store.sequences.release(sequence, len(HEAD) + 1)
    assert sequence.tokens == store.decoder.held[0] == [*HEAD, 40, 41, 42, 43, 44]
    assert store.ask([*HEAD, 40, 41, 42, 43, 44, 45])[1] == len(HEAD) + 5
    assert store.ask([*HEAD, 40, 50])[1] == len(HEAD)  # from the shelf: what it holds cannot be cut back to that


def test_a_state_that_does_not_fit_is_dropped_and_leaves_nothing_behind() -> None:
    store = Store()
    store.decoder.fits = lambda state: False
    assert store.ask([*HEAD, 40])[1] == 0
    assert not store.shelf.has_prefix(HEAD)
    assert (store.shelf.bytes, store.sequences.restored) == (0, 0)


def test_after_a_session_that_does_not_fit_the_prefix_is_tried() -> None:
    store = Store(count=1)
    store.ask([*HEAD, 40, 41], "s1")
    store.ask([*HEAD, 50], "s2")
    store.decoder.fits = lambda state: len(state) == len(state_of(HEAD))
    assert store.ask([*HEAD, 40, 41, 42], "s1")[1] == len(HEAD)


def test_a_model_that_cannot_forget_a_part_begins_anew_with_the_prefix() -> None:
    store = Store(count=1, back=0)
    store.ask([*HEAD, 40, 41, 42])
    assert store.ask([*HEAD, 40, 50])[1] == len(HEAD)
    assert store.ask([*HEAD, 40, 50, 51])[1] == len(HEAD) + 2  # but it can go on from where it is


def test_the_last_tokens_of_a_sequence_at_work_can_be_forgotten() -> None:
    store = Store()
    sequence, _ = store.begin([*HEAD, 40, 41, 42])
    store.sequences.cut_back(sequence, 2)
    assert sequence.tokens == store.decoder.held[sequence.number] == [*HEAD, 40]


def test_nothing_is_reused_of_what_was_spoilt_and_all_places_are_free() -> None:
    store = Store()
    store.ask([*HEAD, 40, 41])
    store.begin([*HEAD, 40, 41, 42])
    store.sequences.spoil_all()
    assert store.sequences.held == store.decoder.cells_taken == 0
    assert store.sequences.free == 3
    store.shelf.remove(store.shelf.candidates()[0])
    assert store.ask([*HEAD, 40, 41, 42])[1] == 0


def test_the_same_prompts_again_and_again_compute_and_shelve_nothing_more() -> None:
    store = Store(count=2)
    for _ in range(20):
        store.ask([*HEAD, 40, 41], "s1")
        store.ask([*HEAD, 50], "s2")
    assert store.decoder.cells_taken == 2 * len(HEAD) + 3
    assert (store.sequences.restored, store.sequences.shelved) == (2, 0)
