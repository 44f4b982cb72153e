"""A lesson as tokens: the prompt is the engine's own, and so is the way of the answer."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from small_lessons import small_lessons

from models.fetch import ensure
from models.manifest import find_manifest
from models.training.encode import Encoder, Example
from models.training.generate import lessons
from models.training.lesson import Lesson
from pipeline.errors import OrstateError
from stages.inference.native import Model
from stages.inference.tokens import PromptTokens
from stages.prompt.prompts import Prompts


@pytest.fixture(scope="module")
def embedded() -> Path:
    return ensure(find_manifest("gemma-3-270m"))


@pytest.fixture(scope="module")
def encoder(embedded: Path) -> Iterator[Encoder]:
    with closing(Encoder(embedded)) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def made(encoder: Encoder) -> list[Example]:
    return [encoder.encode(lesson, with_allowed=True) for lesson in lessons(3, 60)]


def test_a_lesson_is_the_very_tokens_of_its_prompt_and_its_answer(embedded: Path, made: list[Example]) -> None:
    with closing(Model(embedded)) as model:
        layout = PromptTokens(model.tokenize, model.begin, 4096)
        for example in made:
            lesson = example.lesson
            transcript = lesson.transcript(True)
            prompt = Prompts("completion", "small", "none").build(lesson.surgery, transcript, lesson.moment)
            tokens = layout.lay_out(prompt)
            written = [*example.shared, *example.own]
            assert written[: len(tokens.prompt)] == tokens.prompt
            assert len(example.shared) == tokens.shared
            answer = [*written[len(tokens.prompt) :], example.targets[-1]]
            text = b"".join(map(model.piece, answer)).decode()
            assert lesson.answer.text().startswith(text)
            assert lesson.answer.text().removeprefix(text) in ("", "}", "]}", '"]}', '"}', "[]}")


def test_only_what_the_grammar_leaves_open_is_learned_and_it_lets_it_through(made: list[Example]) -> None:
    for example in made:
        places = list(zip(example.rows, example.targets, example.allowed, strict=True))
        assert len(places) < len(example.lesson.answer.text()) / 2
        for row, target, allowed in places:
            assert row == len(example.own) - 1 or example.own[row + 1] == target
            assert allowed[target // 32] >> (target % 32) & 1
            assert sum(int(word).bit_count() for word in allowed.astype("uint32")) > 1


def test_each_choice_belongs_to_what_it_says(encoder: Encoder, made: list[Example], embedded: Path) -> None:
    with closing(Model(embedded)) as model:
        for example in made:
            for field, keys in (("toggles", ("on", "off")), ("phase", ("phase", "next")), ("words", ("why", "tips"))):
                pairs = zip(example.fields, example.targets, strict=True)
                said = b"".join(model.piece(target) for belongs, target in pairs if belongs == field).decode()
                answer = json.loads(example.lesson.answer.text())
                told = json.dumps([answer[key] for key in keys], ensure_ascii=False)
                assert len(said) <= len(told) + 8
                if field == "words":
                    assert answer["why"][4:-4] in said


def test_without_words_an_example_ends_at_the_last_choice_of_its_phases(encoder: Encoder, made: list[Example]) -> None:
    for whole in made:
        short = encoder.encode(whole.lesson, with_words=False)
        assert whole.own[: len(short.own)] == short.own
        assert short.rows == [row for row, field in zip(whole.rows, whole.fields, strict=True) if field != "words"]
        assert short.targets == whole.targets[: len(short.rows)]
        assert short.rows[-1] == len(short.own) - 1


def test_an_answer_that_the_grammar_refuses_is_told(encoder: Encoder) -> None:
    lesson = next(small_lessons(1, 1))
    wrong = replace(lesson, answer=replace(lesson.answer, on=("M77",)))
    with pytest.raises(OrstateError, match=r"\"M77\".*is none that the grammar lets through|ends or goes on elsewhere"):
        encoder.encode(wrong)


def test_two_surgeries_of_one_name_have_grammars_of_their_own(encoder: Encoder) -> None:
    lesson: Lesson = next(small_lessons(1, 1))
    other = type(lesson.surgery)(
        lesson.surgery.surgery, "x", "y", lesson.surgery.phases[:1], lesson.surgery.machines[:1]
    )
    encoder.encode(lesson)
    only = replace(
        lesson, surgery=other, answer=replace(lesson.answer, on=("M01",), off=(), phase="Phase1", next="Phase1")
    )
    assert len(encoder.encode(only).rows) > 0
