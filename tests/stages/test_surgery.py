"""The dictionaries that are shipped, and the errors of ones that are not of the form."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import resolve
from pipeline.errors import ConfigError
from stages.surgery import Surgery, find_surgery, load_surgeries

SHIPPED = resolve("configs/machines")
Change = Callable[[dict[str, Any]], None]


def shipped() -> dict[str, Surgery]:
    return load_surgeries(SHIPPED)


def changed(folder: Path, change: Change, name: str = "changed.json") -> Path:
    data = json.loads((SHIPPED / "pcnl.json").read_text(encoding="utf-8"))
    change(data)
    path = folder / name
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_three_surgeries_are_shipped_with_nine_machines_and_six_phases_each() -> None:
    surgeries = shipped()
    assert set(surgeries) == {"PCNL", "Partial Hepatectomy", "Lobectomy"}
    for surgery in surgeries.values():
        assert surgery.machine_ids == tuple(f"M{n:02d}" for n in range(1, 10))
        assert surgery.phase_ids == tuple(f"Phase{n}" for n in range(1, 7))


def test_every_shipped_machine_says_what_it_is_for_and_what_it_is_called() -> None:
    for surgery in shipped().values():
        for machine in surgery.machines:
            assert len(machine.description) > 30
            assert machine.triggers
            assert machine.aliases
            assert machine.phase_usage


@pytest.mark.parametrize(
    ("surgery", "ids"),
    [
        ("PCNL", {"M01", "M09"}),
        ("Partial Hepatectomy", {"M01", "M07", "M09"}),
        ("Lobectomy", {"M01", "M09"}),
    ],
)
def test_the_monitor_the_lights_and_the_infusion_pump_are_on_from_the_start(surgery: str, ids: set[str]) -> None:
    assert {m.id for m in shipped()[surgery].machines if m.default_state == "ON"} == ids


def test_one_id_is_another_machine_in_another_surgery() -> None:
    names = {surgery.machines[4].name for surgery in shipped().values()}
    assert names == {"Irrigation Pump", "Argon Beam Coagulator", "Insufflator"}


def test_a_further_file_in_a_folder_is_a_further_surgery(tmp_path: Path) -> None:
    for path in SHIPPED.glob("*.json"):
        shutil.copy(path, tmp_path)
    changed(tmp_path, lambda data: data.update(surgery="Ureteroscopy"))
    assert "Ureteroscopy" in load_surgeries(tmp_path)
    assert len(load_surgeries(tmp_path)) == 4


def test_a_surgery_is_found_whatever_the_case_of_its_name() -> None:
    found = find_surgery(shipped(), " partial hepatectomy ")
    assert found is not None
    assert found.surgery == "Partial Hepatectomy"
    assert find_surgery(shipped(), "Appendectomy") is None


@pytest.mark.parametrize("attribute", ["id", "name"])
def test_a_phase_is_found_by_id_and_name_whatever_the_case_and_spaces(attribute: str) -> None:
    for surgery in shipped().values():
        for phase in surgery.phases:
            said = getattr(phase, attribute)
            for form in (said, said.upper(), f" {said.casefold()} ", "".join(said.split())):
                assert surgery.phase_called(form) is phase
        assert surgery.phase_called("Phase9") is None
        assert surgery.phase_called("") is None


def test_of_two_phases_of_one_name_the_first_is_found(tmp_path: Path) -> None:
    changed(tmp_path, lambda data: [phase.update(name="Stone") for phase in data["phases"][2:4]])
    found = load_surgeries(tmp_path)["PCNL"].phase_called("stone")
    assert found is not None
    assert found.id == "Phase3"


def test_the_last_phase_has_none_after_it() -> None:
    surgery = shipped()["PCNL"]
    assert surgery.phase_after("Phase3") == "Phase4"
    assert surgery.phase_after("Phase6") == ""
    assert surgery.phase_after("Phase9") == ""


def double_machine(data: dict[str, Any]) -> None:
    data["machines"].append(data["machines"][0])


def newline_behind_id(data: dict[str, Any]) -> None:
    data["phases"][1]["id"] = "Phase2\n"


def alias_without_letter(data: dict[str, Any]) -> None:
    data["machines"][3]["aliases"] = ["- -"]


def control_character(data: dict[str, Any]) -> None:
    data["machines"][3]["name"] = "C-Arm\x1b[2J"


def space_around_name(data: dict[str, Any]) -> None:
    data["surgery"] = " PCNL"


def double_phase(data: dict[str, Any]) -> None:
    data["phases"].append(data["phases"][1])


def strange_usage(data: dict[str, Any]) -> None:
    data["machines"][3]["phase_usage"] = ["Phase2-5"]


def bad_state(data: dict[str, Any]) -> None:
    data["machines"][2]["default_state"] = "STANDBY"


def bad_id(data: dict[str, Any]) -> None:
    data["machines"][2]["id"] = "M3"


def unknown_key(data: dict[str, Any]) -> None:
    data["machines"][0]["ui"] = {}


def no_phases(data: dict[str, Any]) -> None:
    data["phases"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (double_machine, "machine id 'M01' stands more than once"),
        (double_phase, "phase id 'Phase2' stands more than once"),
        (strange_usage, "phase_usage of M04 names 'Phase2-5'; phases are Phase1, Phase2"),
        (bad_state, r"\$.machines\[2\].default_state"),
        (bad_id, r"\$.machines\[2\].id"),
        (unknown_key, "unknown field `ui`"),
        (no_phases, r"\$.phases"),
        (newline_behind_id, r"\$.phases\[1\].id"),
        (alias_without_letter, r"\$.machines\[3\].aliases\[0\]"),
        (control_character, r"name has the control character U\+001B at position 5.*\$.machines\[3\]"),
        (space_around_name, r"\$.surgery"),
    ],
)
def test_a_file_that_is_not_of_the_form_is_refused_with_file_and_key(tmp_path: Path, change: Change, said: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(ConfigError, match=said) as caught:
        load_surgeries(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [b"{", b'{"surgery":"\xff"}', b'{"surgery":' + b"[" * 3000])
def test_what_is_no_json_is_refused_with_its_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.json").write_bytes(data)
    with pytest.raises(ConfigError, match=r"broken\.json"):
        load_surgeries(tmp_path)


def test_two_files_of_one_surgery_name_each_other(tmp_path: Path) -> None:
    changed(tmp_path, lambda data: None, "one.json")
    changed(tmp_path, lambda data: None, "two.json")
    with pytest.raises(ConfigError, match=r"two\.json: surgery 'PCNL' is already in .*one\.json"):
        load_surgeries(tmp_path)


def test_a_folder_without_surgeries_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no surgery in it .*set prompt\.machines"):
        load_surgeries(tmp_path)


def test_a_link_in_the_folder_leads_to_its_own_files_only(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "machines", tmp_path / "elsewhere"
    (folder / "data").mkdir(parents=True)
    elsewhere.mkdir()
    changed(folder / "data", lambda _: None)
    (folder / "pcnl.json").symlink_to("data/changed.json")
    assert set(load_surgeries(folder)) == {"PCNL"}
    changed(elsewhere, lambda data: data.update(surgery="Other"))
    (folder / "other.json").symlink_to(elsewhere / "changed.json")
    with pytest.raises(ConfigError, match=r"other\.json: leads out of its folder"):
        load_surgeries(folder)
