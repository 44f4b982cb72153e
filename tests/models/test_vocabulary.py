"""The claims of models/vocabulary.py, on made vocabularies and by its own definition of cutting. The real vocabulary
and the engine's own cutting are tested in test_trim.py."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import TOKENS

from models.vocabulary import MixedTokens, Vocabulary, needed_for_ascii, needed_for_words, words_of


def vocabulary(*tokens: tuple[str, int]) -> Vocabulary:
    return Vocabulary(
        [text.encode() for text, _ in tokens],
        np.array([kind for _, kind in tokens]),
        -np.arange(len(tokens), dtype=np.float32),
    )


def of_pieces(pieces: list[str]) -> Vocabulary:
    return vocabulary(("<unk>", 2), ("<s>", 3), ("</s>", 3), *((piece, 1) for piece in pieces))


def kept(found: Vocabulary, stay: np.ndarray) -> list[str]:
    return [text.decode() for text, stays in zip(found.texts, stay, strict=True) if stays]


def cut(text: str, tokens: dict[str, float]) -> list[str]:
    """The text cut by joining the pair of the best score, the leftmost of equals."""
    pieces = list(text.replace(" ", "▁"))
    while True:
        joins = [(-tokens[a + b], at) for at, (a, b) in enumerate(pairwise(pieces)) if a + b in tokens]
        if not joins:
            return pieces
        at = min(joins)[1]
        pieces[at : at + 2] = ["".join(pieces[at : at + 2])]


def scores(found: Vocabulary, stay: np.ndarray) -> dict[str, float]:
    return {found.texts[at].decode(): float(found.scores[at]) for at in np.flatnonzero(stay)}


def test_pieces_of_other_scripts_and_placeholders_go() -> None:
    found = vocabulary(*TOKENS)
    gone = set(kept(found, ~needed_for_ascii(found)))
    assert gone == {"<unused0>", "[PAD7]", "ü", "üb", "手"}


def test_a_placeholder_that_text_can_be_joined_to_stays() -> None:
    found = vocabulary(("<unk>", 2), ("<s>", 3), ("</s>", 3), ("<unused", 1), ("7>", 1), ("<unused7>", 3))
    assert needed_for_ascii(found)[-1]


def test_the_first_three_ids_stay_whatever_they_are() -> None:
    assert needed_for_ascii(vocabulary(("ü", 1), ("ö", 1), ("ä", 1), ("å", 1))).tolist() == [True] * 3 + [False]


@given(
    pieces=st.lists(st.text("ab1 .ü", min_size=1, max_size=5), max_size=40, unique=True),
    text=st.text("ab1 .", max_size=30),
)
def test_ascii_text_is_cut_the_same(pieces: list[str], text: str) -> None:
    found = of_pieces([piece.replace(" ", "▁") for piece in pieces])
    everything = np.ones(len(found.texts), bool)
    assert cut(text, scores(found, needed_for_ascii(found))) == cut(text, scores(found, everything))


WORDS = st.lists(st.text("abAB", min_size=1, max_size=7), min_size=1, max_size=4)


@given(
    pieces=st.lists(st.from_regex(r"▁?[abAB]+|[▁.,1]+|ü+", fullmatch=True), max_size=60, unique=True),
    words=WORDS,
    between=st.lists(st.text(" .,1", min_size=1, max_size=3), min_size=5, max_size=5),
)
def test_a_text_of_the_words_is_cut_the_same(pieces: list[str], words: list[str], between: list[str]) -> None:
    found = of_pieces(pieces)
    everything = np.ones(len(found.texts), bool)
    stay = needed_for_words(found, words)
    text = "".join(part for pair in zip(between, words, strict=False) for part in pair) + between[-1]
    for said in (text, text.lower(), text.upper(), text.title()):
        assert cut(said, scores(found, stay)) == cut(said, scores(found, everything))


def test_what_no_word_reaches_goes_and_single_characters_stay() -> None:
    found = of_pieces(["▁", "a", "b", "c", "ab", "▁ab", "bc", "abc", "1", "11"])
    assert kept(found, needed_for_words(found, ["ab"]))[3:] == ["▁", "a", "b", "c", "ab", "▁ab", "1", "11"]


@pytest.mark.parametrize("mixed", ["a1", "a.", "a▁b", "▁▁a", "'a"])
def test_tokens_across_the_edge_of_a_word_are_refused(mixed: str) -> None:
    with pytest.raises(MixedTokens, match="has letters and others"):
        needed_for_words(of_pieces(["a", mixed]), ["a"])


def test_words_are_runs_of_letters() -> None:
    assert words_of("Don't: 2x M01, ßeta") == {"Don", "t", "x", "M", "eta"}
