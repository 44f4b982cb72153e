"""Finding the JSON object in a model's text."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.parse.extract import MAX_CHARACTERS, Unparsable, extract


def test_a_text_that_is_an_object_is_taken_whole() -> None:
    result = extract(' \n{"phase": "Phase1"}\n ')
    assert (result.found, result.strategy) == ({"phase": "Phase1"}, "whole")


def test_an_object_between_words_is_taken_from_its_first_to_its_last_brace() -> None:
    result = extract('The state is {"on": ["M05"], "more": {"a": 1}} as said.')
    assert (result.found, result.strategy) == ({"on": ["M05"], "more": {"a": 1}}, "braces")


@pytest.mark.parametrize("tag", ["json", "JSON", ""])
def test_the_inside_of_the_first_fence_is_taken_when_other_braces_stand_around_it(tag: str) -> None:
    result = extract(f'With {{care}}:\n```{tag}\n{{"on": ["M05"]}}\n```\nand ```{{"on": []}}``` {{}}')
    assert (result.found, result.strategy) == ({"on": ["M05"]}, "fence")


@pytest.mark.parametrize("text", ["[]", '[{"phase": "Phase1"}]', '```json\n[{"phase": "Phase1"}]\n```', "[1, 2]"])
def test_an_array_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(Unparsable, match="an array, not an object"):
        extract(text)


@pytest.mark.parametrize("text", ["", " \n\t", "no state", "42", "null", '"}"', "}", "```", "``` ```"])
def test_a_text_without_an_object_is_no_answer(text: str) -> None:
    with pytest.raises(Unparsable, match=r"empty|no JSON object"):
        extract(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_json_number_is_no_answer(number: str) -> None:
    with pytest.raises(Unparsable, match="no JSON object"):
        extract(f'{{"conf": {number}}}')


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    assert extract('{"conf": 0.1, "conf": 0.9}').found == {"conf": 0.9}


@pytest.mark.parametrize("kept", [1, 10, 20, 35])
def test_an_object_that_is_not_closed_at_the_end_is_said_to_be_cut_off(kept: int) -> None:
    with pytest.raises(Unparsable, match=rf"cut off after {kept} characters"):
        extract('{"machines":{"0":[],"1":["M0}1"]},"suggestions":[]}'[:kept])


def test_a_brace_in_a_string_does_not_close_an_object() -> None:
    with pytest.raises(Unparsable, match="cut off"):
        extract('{"why": "a } and \\" }')


def test_a_whole_object_counts_although_more_came_after_it() -> None:
    assert extract('{"on": []} and furthermore').found == {"on": []}


@pytest.mark.parametrize("deep", ["[", '{"a":'])
def test_a_text_that_is_nested_too_deep_is_no_answer(deep: str) -> None:
    with pytest.raises(Unparsable):
        extract('{"a":' + deep * 15_000)


def test_a_text_beyond_the_bound_is_not_looked_at() -> None:
    with pytest.raises(Unparsable, match=f"{MAX_CHARACTERS + 1} characters, more than {MAX_CHARACTERS}"):
        extract("{" + "a" * MAX_CHARACTERS)


def test_a_text_with_half_a_character_is_no_answer() -> None:
    with pytest.raises(Unparsable):
        extract('{"why": "\ud800"}')


@given(st.one_of(st.text(), st.text(alphabet='{}[]"`\\ \n:,a1')))
def test_any_text_gives_an_object_or_is_unparsable(text: str) -> None:
    with suppress(Unparsable):
        assert isinstance(extract(text).found, dict)
