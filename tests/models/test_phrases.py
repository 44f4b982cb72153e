"""The small grammar of phrases that lessons are made with."""

from random import Random

import pytest

from models.training.phrases import Phrases, sentence, tidy

PHRASES = Phrases({"colour": ["red", "green"], "nested": ["[very |]{colour}"]})


def all_of(template: str) -> set[str]:
    rng = Random(1)
    return {PHRASES.say(template, rng, {"it": lambda: "the lamp"}) for _ in range(200)}


def test_one_alternative_is_chosen() -> None:
    assert all_of("a [big|small|] dog") == {"a big dog", "a small dog", "a dog"}


def test_alternatives_may_hold_others() -> None:
    assert all_of("[now [please|]|later]") == {"now please", "now", "later"}


def test_a_slot_of_the_call_comes_before_the_lists() -> None:
    assert all_of("turn {it} {colour}") == {"turn the lamp red", "turn the lamp green"}


def test_a_list_may_name_another() -> None:
    assert all_of("{nested}") == {"red", "green", "very red", "very green"}


def test_a_slot_that_nobody_fills_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        PHRASES.say("{nothing}", Random(1), {})


@pytest.mark.parametrize("template", ["[a|b", "a]", "a|b", "{a", "a}"])
def test_a_template_that_is_not_closed_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        PHRASES.say(template, Random(1), {})


def test_marks_stand_where_they_do_in_writing() -> None:
    assert tidy("on , please ,, now ?, then ") == "on, please, now? then"
    assert sentence("off. and on") == "Off. And on."
