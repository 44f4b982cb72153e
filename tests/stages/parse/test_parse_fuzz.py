"""Whatever a model writes, the parse stage says something valid about it."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from parse_builders import PCNL, make_completion, make_rules, make_stage, publish, respond, settle, small_answer

IDS = [*PCNL.machine_ids, "M99", "m05", "", "pump"]
PHASES = [*PCNL.phase_ids, "Stone Management", "Phase9", ""]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([*IDS, *PHASES, "inject 5", "ON", "standby"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TOGGLES = st.fixed_dictionaries(
    {},
    optional={
        "machine_id": st.sampled_from(IDS) | VALUES,
        "action": st.sampled_from(["ON", "OFF", "standby", "X"]) | VALUES,
        "confidence": VALUES,
        "match_type": VALUES,
    },
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "on": st.lists(st.sampled_from(IDS)) | VALUES,
        "off": st.lists(st.sampled_from(IDS)) | VALUES,
        "phase": st.sampled_from(PHASES) | VALUES,
        "next": st.sampled_from(PHASES) | VALUES,
        "why": VALUES,
        "tips": st.lists(st.text()) | VALUES,
        "conf": VALUES,
        "metadata": st.fixed_dictionaries({"phase": st.sampled_from(PHASES)}) | VALUES,
        "machines": st.fixed_dictionaries(
            {"0": st.lists(st.sampled_from(IDS)), "1": st.lists(st.sampled_from(IDS)) | VALUES}
        ),
        "details": st.fixed_dictionaries({"toggles": st.lists(TOGGLES, max_size=4) | VALUES}),
        "suggestions": VALUES,
        "confidence": VALUES,
    },
)
JSON_TEXTS = (VALUES | NEARLY).map(lambda value: msgspec.json.encode(value).decode())
TEXTS = (
    st.text()
    | st.binary().map(lambda data: data.decode("utf-8", "replace"))
    | st.binary().map(lambda data: data.decode("latin-1"))
    | st.text(alphabet='{}[]"`:,\\ \nonM0159')
    | JSON_TEXTS
    | st.builds(lambda text, cut: text[:cut], JSON_TEXTS, st.integers(0, 80))
    | st.builds(lambda before, text, after: f"{before}```json\n{text}\n```{after}", st.text(), JSON_TEXTS, st.text())
)


@given(text=TEXTS, truncated=st.booleans(), apply=st.booleans())
def test_any_text_gives_a_valid_state_and_a_verdict_that_agrees_with_it(
    text: str, truncated: bool, apply: bool
) -> None:
    stage = make_stage(apply_model_toggles=apply)
    state, verdict = settle(stage, make_completion(text, truncated=truncated))
    assert state.outcome == verdict.outcome == state.state["metadata"]["outcome"]
    assert state.degraded == (state.outcome != "ok")
    assert state.state["source"] == ("rule" if state.degraded else "rule+gemma")
    unparsable = "truncated" if truncated else "parse_failed"
    assert state.outcome in ("ok", unparsable, "schema_failed", "unsafe")
    assert stage.counters()["schema_failures"] == 0
    if state.degraded:
        assert state.state["machines"] == {"0": ["M02", "M03", "M04", "M05", "M06", "M07", "M08"], "1": ["M01", "M09"]}


@given(text=TEXTS)
def test_any_text_gives_a_request_its_one_valid_response(text: str) -> None:
    response = respond(make_stage(), make_completion(text, kind="request", job_id="r/1"))
    assert response.success is (response.outcome == "ok")
    assert bool(response.error) is not response.success


@given(found=NEARLY)
def test_the_same_answer_gives_the_same_state(found: dict[str, Any]) -> None:
    completion = make_completion(found)
    assert settle(make_stage(), completion) == settle(make_stage(), completion)


@given(error=st.text(), model=st.text(), label=st.text(), model_error=st.text())
def test_texts_of_other_processes_cannot_make_a_state_invalid(
    error: str, model: str, label: str, model_error: str
) -> None:
    rules = make_rules(model="down", model_error=model_error)
    stage = make_stage()
    publish(stage, rules)
    settle(stage, make_completion("", rules, outcome="stage_crashed", error=error, model=model, label=label))
    settle(stage, make_completion(small_answer(), rules, job_id="2", model=model, label=label))
    assert stage.counters()["states"] == 3
