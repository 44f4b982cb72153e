"""The generated pages say what the structs say, and each field says what it is."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from docs.reference import configuration, fields, messages
from docs.reference.__main__ import PAGES
from docs.reference.fields import Field, Undescribed, fields_of, table


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_not_stale(path: Path) -> None:
    """Run `.venv/bin/python -m docs.reference` if this fails; an Undescribed names a field without a comment."""
    assert path.read_text(encoding="utf-8") == PAGES[path]()


SOURCE = """
class Sample(Struct):
    plain: int  # said behind it
    # said above it,
    # on two lines
    above: str
    both: list[
        int
    ]  # and behind the end
    bare: float = 0.0
"""


def test_a_field_is_described_by_the_comment_behind_it_or_those_above(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(SOURCE)
    assert fields.comments(file, "Sample") == {
        "plain": "said behind it",
        "above": "said above it, on two lines",
        "both": "and behind the end",
        "bare": "",
    }


class Bare(msgspec.Struct):
    described: int  # but not by a module of the pipeline


def test_a_field_without_a_comment_is_named() -> None:
    with pytest.raises(Undescribed, match=r"Bare\.described has no comment"):
        fields_of(Bare)


def test_a_key_of_the_configuration_without_a_comment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = configuration.DEFAULT_FILE.read_text()
    file = tmp_path / "pipeline.toml"
    file.write_text(shipped.replace("# frames in a ring", ""))
    monkeypatch.setattr(configuration, "DEFAULT_FILE", file)
    with pytest.raises(Undescribed, match=r"frames\.slots has no comment"):
        configuration.page()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Annotated[int, Meta(ge=1, le=2000)], "integer, 1 to 2,000"),
        (Annotated[float, Meta(gt=0, le=0.5)], "number, more than 0 to 0.5"),
        (Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^a\Z")], "text, 1 to 64 characters, as `^a$`"),
        (Literal["b", "a"] | None, "one of `a`, `b` or null"),
        (dict[str, tuple[bool, ...]], "map of text to list of true or false"),
        (Annotated[list[int], Meta(max_length=9)], "list, at most 9 entries of integer"),
        (Bare, "[Bare](#bare)"),
    ],
)
def test_a_type_is_told_in_words_with_its_bounds(kind: object, said: str) -> None:
    assert fields.type_text(msgspec.inspect.type_info(kind)) == said


def test_what_would_end_a_cell_is_escaped() -> None:
    assert table([Field("a", "x|y", None, "said")])[-1] == "| `a` | x\\|y | **required** | said |"


def test_every_message_has_a_heading() -> None:
    headings = [line.removeprefix("### ") for line in messages.page().splitlines() if line.startswith("### ")]
    assert {"SessionStart", "Observation", "FrameRef", "LLMRequest", "Status", "PromptJob"} < {*headings}
    assert len(headings) == len(set(headings))
