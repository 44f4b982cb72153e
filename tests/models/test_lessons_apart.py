"""Nothing that a model is measured with is taught: no six words in sequence are shared."""

import json
from collections.abc import Iterator
from typing import Any

from models.training.apart import WORDS, held_out, is_apart, normalised
from models.training.generate import lessons
from models.training.vocabulary import FOLDER, table
from pipeline.config import resolve

SAMPLE = 4000


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def evaluated() -> set[tuple[str, ...]]:
    """The sequences of the sets, found by this test's own reading of them."""
    found: set[tuple[str, ...]] = set()
    for path in resolve("examples").rglob("*.jsonl"):
        if path.name == "tuning.jsonl" or path.parent.name == "taught":  # what lessons are made of
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for text in (row.get("text", ""), *row.get("prior", ())):
                words = normalised(text)
                found.update(tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))
    return found


def shared(text: str, sets: set[tuple[str, ...]]) -> bool:
    words = normalised(text)
    return any(tuple(words[i : i + WORDS]) in sets for i in range(len(words) - WORDS + 1))


def test_no_six_words_of_a_lesson_are_in_an_evaluation_set() -> None:
    sets = evaluated()
    assert len(sets) > 5000
    for part in ("train", "validation"):
        for lesson in lessons(11, SAMPLE // 2, part=part):  # type: ignore[arg-type]
            for text in (*(line.text for line in lesson.lines), lesson.answer.why, *lesson.answer.tips):
                assert not shared(text, sets), text


def test_no_six_words_of_a_word_list_are_in_an_evaluation_set() -> None:
    sets = evaluated()
    lists = [text for path in FOLDER.glob("*.toml") for text in strings(table(path.stem))]
    assert len(lists) > 1000
    assert [text for text in lists if shared(text, sets)] == []


def test_a_sentence_of_an_evaluation_set_is_kept_out() -> None:
    row = json.loads(resolve("examples/understanding/utterances.jsonl").read_text(encoding="utf-8").splitlines()[2])
    assert not is_apart(f"well {row['text']}")
    assert len(held_out()) == len(evaluated())
