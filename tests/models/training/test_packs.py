"""Lessons in packs: each is in one of them, behind its own dictionary, where it would stand by itself."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_lessons import small_lessons

from models.training.encode import Encoder, Example
from models.training.packs import Pack, pack_all


@pytest.fixture(scope="module")
def examples(tiny_gemma: Path) -> Iterator[list[Example]]:
    with closing(Encoder(tiny_gemma)) as encoder:
        yield [encoder.encode(lesson) for lesson in small_lessons(1, 50)]


def spans(pack: Pack) -> Iterator[tuple[slice, slice]]:
    """Of each example: where its shared part and its own lie."""
    ends = np.cumsum([piece.length for piece in pack.pieces])
    places = [slice(end - piece.length, end) for end, piece in zip(ends, pack.pieces, strict=True)]
    for place, piece in zip(places, pack.pieces, strict=True):
        if piece.behind is not None:
            yield places[piece.behind], place


def test_each_example_stands_in_one_pack_as_if_alone(examples: list[Example]) -> None:
    packs = pack_all(examples, 4000, 4, "a")
    assert len(packs) > 2
    seen = [example for pack in packs for example in pack.examples]
    assert sorted(map(id, seen)) == sorted(map(id, examples))
    for pack in packs:
        for at, (example, (shared, own)) in enumerate(zip(pack.examples, spans(pack), strict=True)):
            assert tuple(pack.tokens[shared]) == example.shared
            assert list(pack.tokens[own]) == example.own
            positions = np.concatenate([pack.positions[shared], pack.positions[own]])
            np.testing.assert_array_equal(positions, np.arange(len(example.shared) + len(example.own)))
            mine = pack.owners == at
            np.testing.assert_array_equal(pack.rows[mine] - own.start, example.rows)
            np.testing.assert_array_equal(pack.targets[mine], example.targets)


def test_packs_keep_to_their_size_and_to_so_many_of_one_dictionary(examples: list[Example]) -> None:
    for pack in pack_all(examples, 4000, 4, "a"):
        assert len(pack.tokens) <= 4000
        behind = [piece.behind for piece in pack.pieces if piece.behind is not None]
        assert max(behind.count(shared) for shared in behind) <= 4


def test_the_order_follows_from_the_seed(examples: list[Example]) -> None:
    def order(seed: str) -> list[int]:
        return [id(example) for pack in pack_all(examples, 4000, 4, seed) for example in pack.examples]

    assert order("a") == order("a") != order("b")


def test_an_example_larger_than_a_pack_has_one_of_its_own(examples: list[Example]) -> None:
    assert [len(pack.examples) for pack in pack_all(examples[:3], 1, 1, "a")] == [1, 1, 1]
    assert pack_all([], 100, 1, "a") == []
