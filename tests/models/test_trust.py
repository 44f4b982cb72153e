"""What was measured of a model, as it is written, read and concluded from."""

from pathlib import Path

import msgspec
import pytest

from models.manifest import find_manifest
from models.trust import Tally, Trust, bin_of, interval, load_trust, save_trust, told
from pipeline.errors import ConfigError

NONE = Tally(right=(0, 0, 0, 0), of=(0, 0, 0, 0))


def trust(**tallies: Tally) -> Trust:
    kinds = dict.fromkeys(("on", "off", "beside", "hinted", "named", "contradicted", "unsaid", "phase"), NONE)
    return Trust(weights="ab", sets=("4 utterances",), edges=(0.0, 0.5, 0.8, 0.95), **kinds | tallies)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.213), (5, 5, 0.649, 1.0), (50, 100, 0.419, 0.581), (98, 100, 0.941, 0.993)],
)
def test_an_interval_is_wilsons(right: int, of: int, low: float, high: float) -> None:
    assert interval(right, of) == pytest.approx((low, high), abs=5e-4)


def test_a_probability_lies_in_the_bin_that_begins_with_it_or_below() -> None:
    assert [bin_of(p) for p in (0.0, 0.49, 0.5, 0.79, 0.95, 0.99, 1.0)] == [0, 0, 1, 1, 3, 4, 4]


def test_what_was_never_measured_is_not_reliable() -> None:
    assert trust().reliability("on", 1.0) == 0.0


def test_a_bin_is_as_reliable_as_what_was_counted_in_it_and_not_as_those_above() -> None:
    measured = trust(phase=Tally(right=(0, 2, 0, 30), of=(20, 20, 0, 30)))
    assert measured.reliability("phase", 0.99) == pytest.approx(interval(30, 30)[0])
    assert measured.reliability("phase", 0.6) == pytest.approx(interval(2, 20)[0])


def test_a_rare_bin_counts_together_with_good_ones_below_it() -> None:
    measured = trust(named=Tally(right=(0, 0, 20, 1), of=(0, 0, 20, 1)))
    assert measured.reliability("named", 0.99) == pytest.approx(interval(21, 21)[0])
    assert measured.reliability("named", 0.4) == 0.0


def test_of_a_handful_of_cases_nothing_is_concluded() -> None:
    measured = trust(
        phase=Tally(right=(0, 0, 0, 7), of=(20, 0, 0, 7)), named=Tally(right=(0, 0, 1, 7), of=(0, 0, 1, 7))
    )
    assert measured.reliability("phase", 1.0) == pytest.approx(interval(7, 27)[0])
    assert measured.reliability("named", 1.0) == pytest.approx(interval(8, 8)[0])
    assert measured.reliability("named", 0.9) == 0.0


def test_on_and_off_count_together_and_no_other_kind_does() -> None:
    measured = trust(on=Tally(right=(0, 0, 0, 6), of=(0, 0, 0, 6)), off=Tally(right=(0, 0, 0, 2), of=(0, 0, 0, 3)))
    assert measured.reliability("on", 1.0) == measured.reliability("off", 1.0) == pytest.approx(interval(8, 9)[0])
    assert measured.reliability("contradicted", 1.0) == 0.0


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    measured = trust(on=Tally(right=(1, 0, 2, 6), of=(3, 0, 2, 6)))
    path = save_trust(measured, "some-model", tmp_path)
    assert path.name == "some-model.toml"
    assert load_trust("some-model", "ab", tmp_path) == measured
    assert load_trust("another", "ab", tmp_path) is None


def test_it_is_told_with_what_a_model_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = msgspec.structs.replace(find_manifest("stub"), name="some-model", sha256="ab")
    monkeypatch.setattr("models.trust.FOLDER", tmp_path)
    assert told(manifest) == "not measured; eval --calibrate does"
    save_trust(trust(), "some-model", tmp_path)
    assert told(manifest) == "measured with 4 utterances"


def test_figures_of_other_weights_are_refused(tmp_path: Path) -> None:
    save_trust(trust(), "some-model", tmp_path)
    with pytest.raises(ConfigError, match=r"some-model\.toml: measured with the weights ab, .* eval --calibrate"):
        load_trust("some-model", "cd", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("right = [0, 0, 0, 0]", "right = [1, 0, 0, 0]", "none of right may be more"),
        ("edges = [0.0, 0.5, 0.8, 0.95]", "edges = [0.0, 0.8, 0.5, 0.95]", "edges must begin with 0 and grow"),
        ("edges = [0.0, 0.5, 0.8, 0.95]", "edges = [0.0, 0.5]", "every kind needs 2 counts"),
        ("[on]", "[upside]", "upside"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = save_trust(trust(), "some-model", tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"some-model.toml: .*{fault}"):
        load_trust("some-model", "ab", tmp_path)


def test_the_embedded_base_model_was_measured_and_is_not_reliable_in_anything() -> None:
    manifest = find_manifest("gemma-3-270m")
    measured = load_trust(manifest.name, manifest.sha256)
    assert measured is not None
    assert sum(measured.phase.of) > 40
    assert max(measured.reliability(kind, p) for kind in measured.tallies() for p in measured.edges) < 0.1
