"""The development set is sound: what it expects can be true, and both halves measure the same things."""

import json
import re
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from models.training.vocabulary import table
from pipeline.config import resolve
from pipeline.log import Log
from pipeline.messages import Transcript
from stages.surgery import Surgery, load_surgeries

SET = resolve("examples/understanding")
SURGERIES = load_surgeries(resolve("configs/machines"))
TRUTHS = sorted((SET / "sessions").glob("*.truth.json"))
FOLDERS = ("calibration", "tuning_sessions")
EVERY_TRUTH = [*TRUTHS, *(truth for folder in FOLDERS for truth in sorted((SET / folder).glob("*.truth.json")))]
ID_LISTS = ("expect_on", "expect_off", "expect_deferred", "expect_standby", "expect_absent")
FIELDS = {"id", "surgery", "category", "text", "match", "prior", "expect_phase", "half", "expect_unknown", *ID_LISTS}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SET / name).read_text(encoding="utf-8").splitlines()]


def words(text: str) -> str:
    """The text as two listeners would agree on it: letters and digits alone."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def repeated(values: list[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def truth_of(path: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return truth


def lines_of(truth: Path) -> list[Transcript]:
    log = Log(truth.with_name(truth.name.replace(".truth.json", ".jsonl")))
    assert log.faults == []
    return [message for message in log.messages if isinstance(message, Transcript)]


UTTERANCES = rows("utterances.jsonl")
TUNING = rows("tuning.jsonl")
CALIBRATION = rows("calibration/utterances.jsonl")
UNSEEN = rows("unseen/utterances.jsonl")
UNSEEN_SURGERIES = load_surgeries(SET / "unseen" / "machines")
OTHERS = rows("others/utterances.jsonl")
OTHER_SURGERIES = load_surgeries(SET / "others" / "machines")
TAUGHT = rows("taught/utterances.jsonl")
TAUGHT_SURGERIES = load_surgeries(SET / "taught" / "machines")
EVERY = [*UTTERANCES, *TUNING, *OTHERS, *TAUGHT, *CALIBRATION, *UNSEEN]
CHATTER = rows("chatter.jsonl")


def surgery_of(row: dict[str, Any]) -> Surgery:
    return (SURGERIES | OTHER_SURGERIES | TAUGHT_SURGERIES | UNSEEN_SURGERIES)[row["surgery"]]


def test_every_utterance_has_an_id_and_a_wording_of_its_own() -> None:
    assert repeated([row["id"] for row in EVERY]) == []
    assert repeated([words(row["text"]) for row in EVERY]) == []


def test_the_surgeries_have_equally_many_utterances() -> None:
    counts = Counter(row["surgery"] for row in UTTERANCES)
    assert set(counts) == set(SURGERIES)
    assert len(set(counts.values())) == 1
    assert counts.total() >= 420


def test_every_category_has_fifteen_utterances_and_is_in_both_halves() -> None:
    counts = Counter(row["category"] for row in UTTERANCES)
    assert min(counts.values()) >= 15
    for half in ("tune", "report"):
        assert {row["category"] for row in UTTERANCES if row["half"] == half} == set(counts)


def test_the_half_of_an_utterance_follows_from_its_id() -> None:
    odd = {row["id"]: sha256(row["id"].encode()).digest()[0] % 2 for row in UTTERANCES}
    assert [row["id"] for row in UTTERANCES if row["half"] != ("report" if odd[row["id"]] else "tune")] == []


def test_an_utterance_expects_what_its_surgery_can_do() -> None:
    for row in EVERY:
        surgery = surgery_of(row)
        assert set(row) <= FIELDS, row["id"]
        assert row.get("expect_phase", surgery.phase_ids[0]) in surgery.phase_ids, row["id"]
        for field in ID_LISTS:
            ids = row.get(field, [])
            assert set(ids) <= set(surgery.machine_ids), (row["id"], field)
            assert repeated(ids) == [], (row["id"], field)


def test_the_expectations_of_an_utterance_do_not_contradict_each_other() -> None:
    for row in EVERY:
        on, off = set(row["expect_on"]), set(row["expect_off"])
        assert not on & off, row["id"]
        assert set(row.get("expect_standby", [])) <= off, row["id"]
        assert not (on | off) & {*row.get("expect_deferred", []), *row.get("expect_absent", [])}, row["id"]
        assert row["match"] in {"exact", "contains", "absent", "any_off"}, row["id"]
        assert row["match"] != "any_off" or off, row["id"]
        assert (row["match"] == "absent") == bool(row.get("expect_absent")), row["id"]


def test_an_unknown_device_is_given_as_it_is_said() -> None:
    unsaid = {
        (row["id"], device)
        for row in EVERY
        for device in row.get("expect_unknown", [])
        if device not in row["text"].lower()
    }
    assert unsaid == set()


def test_what_is_calibrated_with_is_of_the_half_to_tune_with_and_about_the_shipped_surgeries() -> None:
    assert {row["half"] for row in (*TUNING, *OTHERS, *TAUGHT, *CALIBRATION)} == {"tune"}
    assert {row["surgery"] for row in CALIBRATION} == set(SURGERIES)
    assert {row["category"] for row in CALIBRATION} >= {row["category"] for row in UTTERANCES} - {"other_surgery"}


def test_what_is_tuned_for_generality_on_is_about_six_surgeries_that_do_not_ship_and_are_not_unseen() -> None:
    assert {row["surgery"] for row in OTHERS} == set(OTHER_SURGERIES)
    assert len(OTHER_SURGERIES) == 6
    assert not set(OTHER_SURGERIES) & {*SURGERIES, *UNSEEN_SURGERIES}


def test_what_is_taught_is_about_surgeries_that_nothing_is_measured_with() -> None:
    assert {row["surgery"] for row in TAUGHT} == set(TAUGHT_SURGERIES)
    assert not set(TAUGHT_SURGERIES) & {*SURGERIES, *OTHER_SURGERIES, *UNSEEN_SURGERIES}


def test_what_is_unseen_is_about_surgeries_that_nothing_else_knows() -> None:
    assert {row["surgery"] for row in UNSEEN} == set(UNSEEN_SURGERIES)
    assert not set(UNSEEN_SURGERIES) & set(SURGERIES)
    taught = {words(name) for kind in table("specialties").values() for name in kind["names"]}
    assert not taught & {words(name) for one in UNSEEN_SURGERIES.values() for name in (one.surgery, one.full_name)}
    assert not any("half" in row for row in UNSEEN)  # nothing is tuned on it


def test_the_lines_of_chatter_are_a_thousand_different_ones() -> None:
    assert len(CHATTER) >= 1000
    assert repeated([words(row["text"]) for row in CHATTER]) == []
    assert {row["surgery"] for row in CHATTER} == set(SURGERIES)


def test_no_line_of_chatter_is_an_utterance_that_changes_a_machine() -> None:
    changing = {words(row["text"]) for row in UTTERANCES if row["expect_on"] or row["expect_off"]}
    assert not changing & {words(row["text"]) for row in CHATTER}


def test_there_are_two_sessions_of_each_surgery() -> None:
    counts = Counter(truth_of(path)["surgery"] for path in TRUTHS)
    assert counts == dict.fromkeys(SURGERIES, 2)


@pytest.mark.parametrize("path", EVERY_TRUTH, ids=lambda path: path.name)
def test_a_session_is_of_its_length_rate_and_order(path: Path) -> None:
    times = [line.t for line in lines_of(path)]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert 8 * 60 <= times[-1] <= 15 * 60
    assert 8 <= len(times) / (times[-1] / 60) <= 15


@pytest.mark.parametrize("path", EVERY_TRUTH, ids=lambda path: path.name)
def test_the_machines_of_a_truth_begin_at_the_defaults_and_only_ever_change(path: Path) -> None:
    truth = truth_of(path)
    machines = SURGERIES[truth["surgery"]].machines
    state = {machine.id: machine.default_state for machine in machines}
    assert set(truth["initial_on"]) == {id for id, value in state.items() if value == "ON"}
    for change in truth["machines"]:
        assert change["state"] in {"ON", "OFF"}
        assert state[change["id"]] != change["state"], change
        state[change["id"]] = change["state"]


@pytest.mark.parametrize("path", EVERY_TRUTH, ids=lambda path: path.name)
def test_every_change_of_a_truth_is_at_a_line_of_the_session(path: Path) -> None:
    truth = truth_of(path)
    said = {line.t for line in lines_of(path)}
    changes = [change["t"] for change in truth["machines"]]
    assert changes == sorted(changes)
    assert len(changes) >= 4
    assert set(changes) <= said
    assert {phase["start_s"] for phase in truth["phases"]} <= {0.0, *said}


@pytest.mark.parametrize("path", EVERY_TRUTH, ids=lambda path: path.name)
def test_the_phases_of_a_truth_begin_with_the_first_and_go_on(path: Path) -> None:
    truth = truth_of(path)
    phases = [phase["phase"] for phase in truth["phases"]]
    starts = [phase["start_s"] for phase in truth["phases"]]
    assert (phases[0], starts[0]) == (SURGERIES[truth["surgery"]].phase_ids[0], 0.0)
    assert len(phases) >= 5
    assert all(earlier < later for earlier, later in pairwise(starts))
    assert set(phases) <= set(SURGERIES[truth["surgery"]].phase_ids)
    assert all(earlier != later for earlier, later in pairwise(phases))
