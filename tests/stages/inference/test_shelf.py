"""What stands on the shelf, what it may weigh, and what goes first."""

import numpy as np

from stages.inference.shelf import PREFIXES, Saved, Shelf


def saved(*tokens: int, size: int = 100) -> Saved:
    return Saved(list(tokens), np.zeros(size, np.uint8))


def test_a_session_stands_there_with_its_last_state_only() -> None:
    shelf = Shelf(1000)
    shelf.put_session("s1", saved(1))
    newer = saved(1, 2)
    shelf.put_session("s1", newer)
    assert shelf.candidates() == [newer]
    assert (shelf.bytes, shelf.dropped) == (100, 0)


def test_more_bytes_than_fit_drop_the_session_that_was_put_there_longest_ago() -> None:
    shelf = Shelf(300)
    first, second, third, fourth = (saved(n) for n in range(4))
    for name, state in (("s1", first), ("s2", second), ("s3", third)):
        shelf.put_session(name, state)
    again = saved(0, 1)
    shelf.put_session("s1", again)
    shelf.put_session("s4", fourth)
    assert shelf.candidates() == [third, again, fourth]
    assert (shelf.bytes, shelf.dropped) == (300, 1)


def test_a_large_session_drops_as_many_as_it_needs() -> None:
    shelf = Shelf(300)
    for number in range(3):
        shelf.put_session(str(number), saved(number))
    large = saved(9, size=250)
    shelf.put_session("large", large)
    assert shelf.candidates() == [large]
    assert shelf.dropped == 3


def test_a_session_that_is_larger_than_the_shelf_does_not_stay() -> None:
    shelf = Shelf(99)
    shelf.put_session("s1", saved(1))
    assert (shelf.candidates(), shelf.bytes) == ([], 0)


def test_sessions_drop_no_prefix_and_prefixes_no_session() -> None:
    shelf = Shelf(100)
    shelf.put_prefix(saved(1, size=5000))
    session = saved(2)
    for number in range(20):
        shelf.put_session(str(number), session)
    assert shelf.has_prefix([1])
    shelf.put_prefix(saved(3, size=5000))
    assert shelf.candidates()[0] is session
    assert shelf.bytes == 10_100


def test_of_more_prefixes_than_stay_the_one_that_was_asked_for_longest_ago_goes() -> None:
    shelf = Shelf(0)
    for number in range(PREFIXES):
        shelf.put_prefix(saved(number))
    assert shelf.has_prefix([0])
    shelf.put_prefix(saved(PREFIXES))
    assert shelf.has_prefix([0])
    assert not shelf.has_prefix([1])
    assert (len(shelf.candidates()), shelf.dropped) == (PREFIXES, 1)


def test_a_part_of_a_prefix_is_another_prefix() -> None:
    shelf = Shelf(0)
    shelf.put_prefix(saved(1, 2))
    assert shelf.has_prefix([1, 2])
    assert not shelf.has_prefix([1])
    assert not shelf.has_prefix([1, 2, 3])


def test_what_turned_out_to_be_of_no_use_is_removed_alone() -> None:
    shelf = Shelf(1000)
    prefix, other, session = saved(1), saved(2), saved(1)
    shelf.put_prefix(prefix)
    shelf.put_prefix(other)
    shelf.put_session("s1", session)
    shelf.remove(prefix)
    assert shelf.candidates() == [session, other]
    shelf.remove(session)
    assert shelf.candidates() == [other]
