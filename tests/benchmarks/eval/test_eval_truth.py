from pathlib import Path
from typing import Any

import pytest
from eval_builders import SURGERIES, write_session

from benchmarks.eval.truth import read_cases
from pipeline.errors import ConfigError

TRUTH: dict[str, Any] = {
    "surgery": "pcnl",
    "initial_on": ["M01"],
    "machines": [{"t": 4.0, "id": "M06", "state": "ON"}],
    "phases": [{"phase": "Phase1", "start_s": 0.0}],
    "note": "a key that nobody knows",
}
LINES = [{"t": 4.0, "speaker": "Surgeon", "text": "Suction on."}]


def test_sessions_are_read_in_the_order_of_their_names_and_with_the_truths_surgery(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_session(tmp_path, name, LINES, TRUTH)
    (tmp_path / "other.jsonl").write_text("no session: it has no truth\n")
    cases = read_cases(tmp_path, SURGERIES, None)
    assert [case.name for case in cases] == ["a", "b"]
    assert cases[0].surgery.surgery == "PCNL"
    assert cases[0].log.duration_s() == 4.0


def test_only_the_sessions_of_a_half_are_read_if_it_is_named(tmp_path: Path) -> None:
    write_session(tmp_path, "a", LINES, {**TRUTH, "half": "tune"})
    write_session(tmp_path, "b", LINES, {**TRUTH, "half": "report"})
    assert [case.name for case in read_cases(tmp_path, SURGERIES, "report")] == ["b"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"surgery": "Tonsillectomy"}, "surgery = \"Tonsillectomy\": surgery 'Tonsillectomy' is not known; known are"),
        ({"initial_on": ["M42"]}, 'initial_on = "M42": PCNL has no such machine; its machines are M01 (Patient'),
        ({"machines": [{"t": 1.0, "id": "M42", "state": "ON"}]}, 'machines = "M42": PCNL has no such machine'),
        ({"machines": [{"t": 1.0, "id": "M06", "state": "UP"}]}, 'machines[0].state = "UP": Invalid enum value'),
        ({"machines": [{"t": -1.0, "id": "M06", "state": "ON"}]}, "machines[0].t = -1.0: Expected `float` >= 0.0"),
        ({"phases": [{"phase": "Phase9", "start_s": 0}]}, 'phases = "Phase9": PCNL has no such phase; its phases are'),
        ({"machines": [{"t": 1.0, "id": "M06"}]}, 'machines[0] = {"t":1.0,"id":"M06"}: Object missing required field'),
        ({"initial_on": None}, "initial_on = null: Expected `array`, got `null`"),
    ],
)
def test_an_error_in_a_truth_names_file_field_and_value(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    write_session(tmp_path, "a", LINES, {**TRUTH, **fields})
    with pytest.raises(ConfigError) as raised:
        read_cases(tmp_path, SURGERIES, None)
    assert str(raised.value).startswith(f"{tmp_path / 'a.truth.json'}: ")
    assert told in str(raised.value)


def test_a_truth_without_its_log_and_a_folder_without_a_truth_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no session \(NAME\.jsonl with NAME\.truth\.json\) in it"):
        read_cases(tmp_path, SURGERIES, None)
    write_session(tmp_path, "a", LINES, TRUTH)
    with pytest.raises(ConfigError, match="no session of half 'tune' in it"):
        read_cases(tmp_path, SURGERIES, "tune")
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"a\.jsonl: there is no such log"):
        read_cases(tmp_path, SURGERIES, None)
