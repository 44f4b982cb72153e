from pathlib import Path
from typing import Any

import pytest
from eval_builders import SURGERIES, utterance, write_rows

from benchmarks.eval.utterances import read_utterances
from pipeline.errors import ConfigError


def test_a_row_that_expects_something_is_compared_exactly_and_one_that_does_not_is_chatter(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "rows.jsonl",
        {"surgery": "pcnl", "text": "suction on", "expect_on": ["M06"]},
        {"surgery": "Lobectomy", "text": "nice weather", "note": "a key that nobody knows"},
    )
    command, chatter = read_utterances(path, SURGERIES, None)
    assert (command.id, command.surgery, command.way, command.category) == ("1", "PCNL", "exact", "other")
    assert (chatter.id, chatter.way, chatter.category) == ("2", "absent", "chatter")
    assert (command.silent, chatter.silent) == (False, True)


def test_null_is_as_good_as_not_given(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", phase=None, prior=None, expect_on=None, match=None, category=None)
    assert row == utterance(tmp_path / "r.jsonl")


def test_standby_counts_as_off(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", expect_off=["M05"], expect_standby=["M06"])
    assert row.off == {"M05", "M06"}


def test_only_the_rows_of_a_half_are_read_if_it_is_named(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "rows.jsonl",
        *({"surgery": "PCNL", "text": half, "half": half} for half in ("tune", "report", "tune")),
        {"surgery": "PCNL", "text": "of no half"},
    )
    assert [row.text for row in read_utterances(path, SURGERIES, "report")] == ["report"]
    assert [row.id for row in read_utterances(path, SURGERIES, "tune")] == ["1", "3"]
    assert len(read_utterances(path, SURGERIES, None)) == 4


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expect_on": ["M06", "M42"]}, 'line 2: expect_on = "M42": PCNL has no such machine; its machines are M01 ('),
        ({"expect_deferred": ["M42"]}, 'expect_deferred = "M42": PCNL has no such machine'),
        ({"expect_on": "M06"}, 'line 2: expect_on = "M06": Expected `array'),
        ({"expect_off": [6]}, "line 2: expect_off[0] = 6: Expected `str`, got `int`"),
        ({"expect_onn": ["M06"]}, 'line 2: expect_onn = ["M06"]: no such field; there are expect_on, expect_off'),
        (
            {"surgery": "Tonsillectomy"},
            "line 2: surgery = \"Tonsillectomy\": surgery 'Tonsillectomy' is not known; known",
        ),
        ({"match": "some"}, "line 2: match = \"some\": Invalid enum value 'some'"),
        ({"phase": "Phase9"}, 'line 2: phase = "Phase9": PCNL has no such phase; its phases are Phase1 ('),
        ({"expect_phase": "Phase9"}, 'line 2: expect_phase = "Phase9": PCNL has no such phase'),
        ({"text": None}, "line 2: Object missing required field `text`"),
        ({"text": "a\u0007b"}, "line 2: text has the control character U+0007 at position 1"),
    ],
)
def test_an_error_names_file_line_field_and_value(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    good = {"surgery": "PCNL", "text": "suction on"}
    path = write_rows(tmp_path / "rows.jsonl", good, {**good, **fields})
    with pytest.raises(ConfigError) as raised:
        read_utterances(path, SURGERIES, None)
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no row in it"),
        (b'{"surgery": "PCNL"}\n', "line 1: Object missing required field `text`"),
        (b'\n{"surgery": \n', "line 2: "),
        (b'["PCNL", "text"]\n', "line 1: Expected `object`, got `array`"),
        (b'{"surgery": "PCNL", "text": "\xff"}\n', "line 1: "),
        (b'{"surgery": "PCNL", "text": "x", "half": "tune"}\n', "no row of half 'report' in it"),
    ],
)
def test_a_file_without_rows_or_with_other_things_is_an_error(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"rows.jsonl: {told}"):
        read_utterances(path, SURGERIES, "report")


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere\.jsonl: cannot be read: No such file"):
        read_utterances(Path("/nowhere.jsonl"), SURGERIES, None)
