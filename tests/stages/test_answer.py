"""The schemas of both answer forms: what a grammar made from them can say is bounded, and parse takes it."""

from typing import Any

import jsonschema_rs
import pytest

from pipeline.config import ROOT
from stages.answer import CONFIDENCES, MAX_TIPS, TIP_CHARACTERS, WHY_CHARACTERS, AnswerForm, answer_schema
from stages.parse.normalise import normalise
from stages.surgery import Surgery, load_surgeries

SURGERIES = load_surgeries(ROOT / "configs" / "machines")
FORMS: tuple[AnswerForm, ...] = ("small", "full")

each_surgery = pytest.mark.parametrize("surgery", SURGERIES.values(), ids=SURGERIES)
each_form = pytest.mark.parametrize("form", FORMS)


def longest(schema: dict[str, Any]) -> Any:
    """The answer that is as long as `schema` lets it be, with every last value of an enum."""
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "object":
        return {key: longest(inner) for key, inner in schema["properties"].items()}
    if schema["type"] == "array":
        return [longest(schema["items"])] * schema["maxItems"]
    return "w" * schema["maxLength"]


def shortest(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {key: shortest(inner) for key, inner in schema["properties"].items()}
    return [] if schema["type"] == "array" else ""


def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(part for one in inner for part in parts(one))]


@each_surgery
@each_form
def test_the_longest_and_the_shortest_answer_keep_their_schema_and_parse_takes_them(
    surgery: Surgery, form: AnswerForm
) -> None:
    schema = answer_schema(surgery, form)
    known = {machine.id: machine.default_state for machine in surgery.machines}
    for answer in (longest(schema), shortest(schema)):
        jsonschema_rs.validate(schema, answer)
        assert normalise(answer, surgery, known).phase in surgery.phase_ids


@each_surgery
@each_form
def test_every_part_of_a_schema_is_bounded(surgery: Surgery, form: AnswerForm) -> None:
    for part in parts(answer_schema(surgery, form)):
        if "enum" in part:
            assert part["enum"]
        elif part["type"] == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
        else:
            assert part["maxItems" if part["type"] == "array" else "maxLength"] > 0


def test_the_small_form_is_filled_in_the_order_it_is_written() -> None:
    schema = answer_schema(SURGERIES["PCNL"], "small")
    assert list(schema["properties"]) == ["on", "off", "phase", "next", "why", "tips"]


@each_surgery
@each_form
def test_a_schema_knows_this_surgerys_ids_and_phases_only(surgery: Surgery, form: AnswerForm) -> None:
    schema = answer_schema(surgery, form)
    enums = [part["enum"] for part in parts(schema) if "enum" in part]
    words = {word for enum in enums for word in enum if isinstance(word, str)}
    assert {*surgery.machine_ids, *surgery.phase_ids} <= words
    names = {machine.name for machine in surgery.machines} if form == "full" else set()
    others = {"ON", "OFF", "STANDBY", "llm", "model"} if form == "full" else set()
    assert words == {*surgery.machine_ids, *surgery.phase_ids, *names, *others}


@pytest.mark.parametrize(
    "change",
    [
        {"on": ["M10"]},
        {"off": ["M01"] * 10},
        {"phase": "Phase7"},
        {"phase": ""},
        {"why": "w" * (WHY_CHARACTERS + 1)},
        {"tips": ["tip"] * (MAX_TIPS + 1)},
        {"tips": ["t" * (TIP_CHARACTERS + 1)]},
        {"conf": 0.5},
        {"more": 1},
    ],
)
def test_an_answer_beyond_a_bound_does_not_keep_the_schema(change: dict[str, Any]) -> None:
    schema = answer_schema(SURGERIES["PCNL"], "small")
    good = shortest(schema)
    assert jsonschema_rs.is_valid(schema, good)
    assert not jsonschema_rs.is_valid(schema, good | change)


def test_an_answer_that_leaves_a_key_out_does_not_keep_the_schema() -> None:
    schema = answer_schema(SURGERIES["PCNL"], "small")
    for key in schema["properties"]:
        assert not jsonschema_rs.is_valid(schema, {k: v for k, v in shortest(schema).items() if k != key})


def test_parse_takes_a_confidence_that_the_small_form_does_not_ask_for() -> None:
    surgery = SURGERIES["PCNL"]
    known = {machine.id: machine.default_state for machine in surgery.machines}
    answer = shortest(answer_schema(surgery, "small"))
    assert normalise(answer | {"conf": 0.7}, surgery, known).confidence == 0.7


def test_confidences_are_the_tenths_from_0_to_1() -> None:
    assert CONFIDENCES == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_a_full_answer_is_read_as_the_difference_to_what_is_known() -> None:
    surgery = SURGERIES["PCNL"]
    answer = shortest(answer_schema(surgery, "full")) | {"machines": {"0": ["M09"], "1": ["M01", "M05"]}}
    known = {machine.id: machine.default_state for machine in surgery.machines}
    toggles = normalise(answer, surgery, known).toggles
    assert [(toggle.machine_id, toggle.action) for toggle in toggles] == [("M05", "ON"), ("M09", "OFF")]
