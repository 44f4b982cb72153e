"""`bench layouts` on a tiny model: every layout is measured, and what is told follows from the figures."""

import json
from pathlib import Path

from benchmarks.layouts import KINDS, ROW_COUNTS, main


def test_all_layouts_and_row_counts_are_measured_and_the_row_cost_follows(tiny_llama: Path, tmp_path: Path) -> None:
    main(tiny_llama, threads=1, rounds=1, path=tmp_path / "layouts.json")
    runs = json.loads((tmp_path / "layouts.json").read_text())["runs"]
    assert len(runs["layouts"]) == 16
    assert {name.rsplit(", ", 1)[1] for name in runs["layouts"]} == set(KINDS)
    for figures in runs["layouts"].values():
        more = figures["four_one_sequence_ms"] - figures["one_ms"]
        assert figures["row_cost"] == more / 3 / figures["one_ms"]
    for kind in KINDS:
        for name in ("empty_ms", "long_ms", "logits_ms"):
            assert list(runs["rows"][kind][name]) == [str(count) for count in ROW_COUNTS]
