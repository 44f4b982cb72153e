import jsonschema_rs
import pytest

from benchmarks.bounds import Bounds, lower, lowered
from pipeline.config import ROOT
from stages import answer
from stages.answer import answer_schema
from stages.surgery import load_surgeries

SURGERY = load_surgeries(ROOT / "configs" / "machines")["PCNL"]


@pytest.fixture(autouse=True)
def lowered_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHY_CHARACTERS", "TIP_CHARACTERS", "MAX_TIPS"):
        monkeypatch.setattr(answer, name, getattr(answer, name))  # is set back after the test
    lower(Bounds(characters=10, tips=1, machines=2))


@pytest.mark.parametrize(
    ("changed", "kept"),
    [({}, True), ({"why": "a" * 11}, False), ({"tips": ["a", "b"]}, False), ({"on": ["M01", "M02", "M02"]}, False)],
)
def test_lowered_bounds_hold_for_texts_lists_and_machines(changed: dict[str, object], kept: bool) -> None:
    schema = answer_schema(lowered(SURGERY, Bounds(characters=10, tips=1, machines=2)), "small")
    said = {"on": ["M01"], "off": [], "phase": "Phase1", "next": "Phase2", "why": "a" * 10, "tips": ["a"]}
    assert jsonschema_rs.is_valid(schema, said | changed) == kept


def test_the_full_form_is_bounded_too() -> None:
    schema = answer_schema(lowered(SURGERY, Bounds(characters=10, tips=1, machines=2)), "full")
    assert schema["properties"]["details"]["properties"]["toggles"]["maxItems"] == 2
    assert schema["properties"]["suggestions"]["maxItems"] == 1
