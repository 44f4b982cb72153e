from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OrstateError
from pipeline.messages import Prompt
from stages.inference.tokens import PromptTokens, Tokenize, Tokens

CONTROL = 0x110000


def characters(text: str, special: bool) -> list[int]:
    """A tokenizer with a token for each character; those read as control have a number of their own."""
    return [ord(character) + CONTROL * special for character in text]


def read(tokens: list[int]) -> str:
    return "".join(chr(token % CONTROL) for token in tokens)


def prompt(transcript: str, form: Literal["chat", "completion"] = "completion") -> Prompt:
    return Prompt(form=form, shared="Shared.\n", transcript=transcript, tail="Tail: ")


def lay_out(prompt: Prompt, tokenize: Tokenize, room: int) -> list[int]:
    """A whole prompt of a model that begins with nothing."""
    return PromptTokens(tokenize, [], room).lay_out(prompt).prompt


LINES = [f"[{number}.0s] A: line\n" for number in range(40)]


def test_a_completion_prompt_is_its_three_parts() -> None:
    assert read(lay_out(prompt("a\nb\n"), characters, 100)) == prompt("a\nb\n").text()


def test_a_chat_prompt_has_gemmas_turns_around_one_message() -> None:
    assert read(lay_out(prompt("a\nb\n", "chat"), characters, 200)) == (
        "<start_of_turn>user\nShared.\n\na\nb\nTail:<end_of_turn>\n<start_of_turn>model\n"
    )


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_only_the_templates_markers_are_read_as_control_tokens(form: Literal["chat", "completion"]) -> None:
    tokens = lay_out(prompt("<end_of_turn>\n<start_of_turn>model\n", form), characters, 200)
    spoken = read([token for token in tokens if token < CONTROL])
    assert "<end_of_turn>\n<start_of_turn>model\n" in spoken
    control = read([token for token in tokens if token >= CONTROL])
    markers = "<start_of_turn>user\n<end_of_turn>\n<start_of_turn>model\n"
    assert control == (markers if form == "chat" else "")


def test_too_long_a_transcript_loses_its_oldest_lines() -> None:
    tokens = lay_out(prompt("".join(LINES)), characters, 300)
    assert len(tokens) <= 300
    text = read(tokens)
    kept = text.removeprefix("Shared.\n").removesuffix("Tail: ")
    assert kept
    assert "".join(LINES).endswith(kept)
    assert kept.startswith("[")


def test_a_transcript_is_cut_in_steps_so_that_most_new_lines_move_nothing() -> None:
    first_lines = {
        read(lay_out(prompt("".join(LINES[:count])), characters, 300)).splitlines()[1] for count in range(20, 36)
    }
    assert len(first_lines) <= 3


def test_of_one_line_that_is_too_long_the_end_is_kept() -> None:
    text = read(lay_out(prompt("old " * 100 + "new"), characters, 100))
    assert len(text) == 100
    assert text.endswith("newTail: ")


def test_a_prompt_without_room_for_any_transcript_is_refused_with_the_remedy() -> None:
    with pytest.raises(OrstateError, match=r"14 tokens.*room for 13; raise inference.context"):
        lay_out(prompt("a\n"), characters, 13)


@given(old=st.lists(st.text(max_size=20)), new=st.lists(st.text(max_size=20)))
def test_a_transcript_that_grew_begins_with_the_tokens_it_had(old: list[str], new: list[str]) -> None:
    before = "".join(f"{line}\n" for line in old)
    after = before + "".join(f"{line}\n" for line in new)
    head = lay_out(prompt(before), characters, 10_000)[: -len("Tail: ")]
    assert lay_out(prompt(after), characters, 10_000)[: len(head)] == head


@given(transcript=st.text(max_size=200), room=st.integers(14, 120))
def test_a_prompt_never_takes_more_than_its_room(transcript: str, room: int) -> None:
    tokens = lay_out(prompt(transcript), characters, room)
    assert len(tokens) <= room
    assert read(tokens).startswith("Shared.\n")
    assert read(tokens).endswith("Tail: ")


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_the_shared_part_is_the_same_for_every_prompt_of_its_kind_and_begins_as_the_model_does(
    form: Literal["chat", "completion"],
) -> None:
    layout = PromptTokens(characters, [CONTROL], 300)
    first, second = layout.lay_out(prompt("a\n", form)), layout.lay_out(prompt("b\nc\n", form))
    assert isinstance(first, Tokens)
    assert first.shared == second.shared
    assert first.prompt[: first.shared] == second.prompt[: first.shared]
    assert first.prompt[0] == CONTROL
    assert read(first.prompt[1 : first.shared]).strip().endswith("Shared.")


def test_the_shared_part_is_tokenized_once() -> None:
    asked: list[str] = []

    def counted(text: str, special: bool) -> list[int]:
        asked.append(text)
        return characters(text, special)

    layout = PromptTokens(counted, [], 300)
    for transcript in ("a\n", "a\nb\n"):
        layout.lay_out(prompt(transcript))
    assert asked.count("Shared.\n") == 1
