import jsonschema_rs
import pytest

from benchmarks.bounds import Bounds, fix, fixed
from pipeline.config import ROOT
from stages import answer
from stages.answer import answer_schema
from stages.surgery import load_surgeries

SURGERY = load_surgeries(ROOT / "configs" / "machines")["PCNL"]
BOUNDS = Bounds(characters=10, tips=1, machines=2)


@pytest.fixture(autouse=True)
def fixed_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHY_CHARACTERS", "TIP_CHARACTERS", "MAX_TIPS", "_words", "_list_of"):
        monkeypatch.setattr(answer, name, getattr(answer, name))  # is set back after the test
    fix(BOUNDS)


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"why": "a" * 11}, False),
        ({"why": "a" * 9}, False),
        ({"tips": ["a" * 10, "b" * 10]}, False),
        ({"tips": []}, False),
        ({"on": ["M01", "M02", "M02"]}, False),
        ({"on": ["M01"]}, False),
    ],
)
def test_texts_and_lists_have_the_length_that_was_fixed(changed: dict[str, object], kept: bool) -> None:
    schema = answer_schema(fixed(SURGERY, BOUNDS), "small")
    ids = ["M01", "M02"]
    said = {
        "on": ids,
        "off": ids,
        "phase": "Phase1",
        "next": "Phase2",
        "why": "a" * 10,
        "tips": ["a" * 10],
    }
    assert jsonschema_rs.is_valid(schema, said | changed) == kept


def test_the_full_form_has_fixed_lengths_too() -> None:
    schema = answer_schema(fixed(SURGERY, BOUNDS), "full")
    toggles = schema["properties"]["details"]["properties"]["toggles"]
    assert (toggles["minItems"], toggles["maxItems"]) == (2, 2)
    assert schema["properties"]["suggestions"]["minItems"] == 1
