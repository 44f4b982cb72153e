"""What keeps the state contract and what does not."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from parse_builders import CONTRACT, HEPATECTOMY, PCNL, SCHEMA, make_rules, make_toggle

from pipeline.errors import ConfigError
from stages.parse.contract import ContractError, load_schema
from stages.parse.merge import rule_state


def valid_state() -> dict[str, Any]:
    return rule_state(PCNL, make_rules(toggles=(make_toggle("M05"),)))


def put(state: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *steps, last = path.split(".")
    at: Any = state
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[last] = value
    return state


def test_the_schema_is_a_draft_7_schema() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert jsonschema_rs.meta.is_valid(SCHEMA)


def test_every_text_number_and_list_of_the_schema_is_bounded() -> None:
    def unbounded(node: Any, where: str) -> list[str]:
        if isinstance(node, list):
            return [fault for at, inner in enumerate(node) for fault in unbounded(inner, f"{where}[{at}]")]
        if not isinstance(node, dict):
            return []
        bound = {
            "string": {"maxLength", "pattern"},
            "array": {"maxItems"},
            "number": {"maximum"},
            "integer": {"maximum"},
        }
        kind = node.get("type")
        missing = kind in bound and not bound[kind] & set(node)
        here = [where] if missing else []
        return here + [fault for key, inner in node.items() for fault in unbounded(inner, f"{where}.{key}")]

    assert unbounded(SCHEMA, "schema") == []


def test_a_state_of_the_rules_keeps_the_contract() -> None:
    CONTRACT.check(valid_state(), "PCNL")


@pytest.mark.parametrize("key", ["metadata", "machines", "details", "suggestions", "confidence", "source"])
def test_each_part_of_a_state_is_required(key: str) -> None:
    state = valid_state()
    del state[key]
    with pytest.raises(ContractError, match=key):
        CONTRACT.check(state, "PCNL")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("extra", 1),
        ("machines.2", []),
        ("machines.0", None),
        ("machines.0", ["M2"]),
        ("machines.0", ["M02\n"]),
        ("machines.0", ["M02", "M02"]),
        ("confidence", 1.01),
        ("confidence", "0.5"),
        ("confidence", float("nan")),
        ("source", "Gemma"),
        ("source", "rule+"),
        ("source", ""),
        ("suggestions", [""]),
        ("suggestions", "Check"),
        ("suggestions", ["Check"] * 33),
        ("metadata.timestamp", "today"),
        ("metadata.temporal", "soon"),
        ("metadata.age_s", -1.0),
        ("metadata.outcome", "fine"),
        ("metadata.degraded", 0),
        ("metadata.buffer_entries", 0.5),
        ("metadata.reasoning", "x" * 2001),
        ("metadata.safety_violations", "gpio"),
        ("details.toggles.0.extra", 1),
        ("details.toggles.0.action", "UP"),
        ("details.toggles.0.match_type", "guess"),
        ("details.negations", [1]),
        ("details.set_by", {"M01": "nobody"}),
    ],
)
def test_the_schema_refuses_a_wrong_value_and_names_its_path(path: str, value: Any) -> None:
    with pytest.raises(ContractError) as error:
        CONTRACT.check(put(valid_state(), path, value), "PCNL")
    assert error.value.path.split(".")[0] in (path.split(".")[0], "state")


def test_an_error_names_the_path_and_the_value() -> None:
    with pytest.raises(ContractError, match=r"^details\.toggles\.0\.action: .*UP"):
        CONTRACT.check(put(valid_state(), "details.toggles.0.action", "UP"), "PCNL")


ALL_OFF = ["M02", "M03", "M04", "M05", "M06", "M07", "M08"]


@pytest.mark.parametrize(
    ("off", "on", "fault"),
    [
        ([*ALL_OFF, "M09"], ["M01", "M09"], "M09 stands in both lists"),
        (ALL_OFF, ["M01"], "M09 of PCNL stands in no list"),
        ([*ALL_OFF, "M10"], ["M01", "M09"], "M10 is no machine of PCNL"),
        ([], [], "M01 of PCNL stands in no list"),
    ],
)
def test_every_machine_stands_in_exactly_one_list(off: list[str], on: list[str], fault: str) -> None:
    with pytest.raises(ContractError, match=rf"^machines: {fault}"):
        CONTRACT.check(put(valid_state(), "machines", {"0": off, "1": on}), "PCNL")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("metadata.phase", "Phase7", "'Phase7' is no phase of PCNL"),
        ("metadata.next_phase", "later", "'later' is no phase of PCNL"),
        ("metadata.surgery", "Lobectomy", "is 'Lobectomy', not 'PCNL'"),
        ("metadata.degraded", True, "is True with the outcome 'ok'"),
        ("details.toggles.0.machine_id", "M77", "M77 is no machine of PCNL"),
        ("details.model_toggles", [{"machine_id": "M78", "name": "", "action": "ON"}], "M78 is no machine of PCNL"),
        ("details.set_by", {"M79": "rule"}, "M79 is no machine of PCNL"),
    ],
)
def test_only_ids_and_phases_of_the_surgery_may_stand_in_a_state(path: str, value: Any, fault: str) -> None:
    with pytest.raises(ContractError, match=fault):
        CONTRACT.check(put(valid_state(), path, value), "PCNL")


def test_a_state_of_one_surgery_is_none_of_another_that_uses_the_same_ids() -> None:
    with pytest.raises(ContractError, match="is 'PCNL', not 'Partial Hepatectomy'"):
        CONTRACT.check(valid_state(), HEPATECTOMY.surgery)


def test_a_degraded_state_cannot_claim_the_model_as_its_source() -> None:
    state = rule_state(PCNL, make_rules(), outcome="timeout", reason="too slow")
    with pytest.raises(ContractError, match="source"):
        CONTRACT.check(put(state, "source", "rule+gemma"), "PCNL")


def test_a_schema_that_cannot_be_read_is_a_configuration_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.json: cannot be read"):
        load_schema(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("[1")
    with pytest.raises(ConfigError, match=r"broken\.json: no JSON object"):
        load_schema(tmp_path / "broken.json")
