"""`bench layouts`: what a step costs by how the cache is laid out: shared or split, with flash attention or without,
sliding-window layers with all cells or with those of the window only, numbers of a cell as f16 or bf16.

Four sequences with a long common beginning, as four sessions of one surgery have; random tokens, raw steps, no
grammar. `mixed` is the step of an engine that appends forced tokens: sequences bring 1, 3, 5 and 1 rows.
`row_cost`: of one more row in a step of few, as a share of a step of one row (`row_cost` of a manifest).

`rows`: milliseconds of a step by how many rows of one sequence it has, in our layout and with both kinds of cells: on
an empty sequence and on a long one, without logits; and what logits of all rows add.
"""

import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np

from benchmarks.report import report, tell, write
from pipeline.console import Bar
from stages.inference.native import Cells, Context, Layout, Model, Row, fastest_cells

PREFIX, OWN = 1800, 100  # tokens: of all sequences together, of each
SEQUENCES = 4
ROWS = 128
STEPS = 6
CELLS = 8192
SPLIT_CELLS = 4096  # of each sequence
ROW_COUNTS = (1, 4, 12, 42, 64, 128)
LONG = 1900  # tokens
STEPS_TOLD = ("one_ms", "four_ms", "mixed_ms")
KINDS: tuple[Cells, ...] = get_args(Cells)
SHAPES = {"one": (1,), "two": (1, 1), "four": (1, 1, 1, 1), "mixed": (1, 3, 5, 1), "four_one_sequence": (4,)}


def main(model: Path, threads: int, rounds: int, path: Path | None) -> None:
    """Run all of it on the GGUF `model`, print the figures, write them to `path`."""
    loaded = Model(model)
    layouts = [
        Layout(
            cells=CELLS if unified else SPLIT_CELLS * (SEQUENCES + 1),
            sequences=SEQUENCES + 1,
            rows=ROWS,
            threads=threads,
            unified=unified,
            flash_attention=flash,
            back=None if full else ROWS,
            kind=kind,
        )
        for kind in KINDS
        for unified, flash, full in product((True, False), repeat=3)
    ]
    measured: dict[str, list[dict[str, float]]] = {_name(layout): [] for layout in layouts}
    best = next(each for each in layouts if not each.unified and not each.flash_attention and each.back is not None)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    with Bar("bench layouts", rounds * len(layouts) + len(KINDS), still=True) as bar:
        for _, layout in product(range(rounds), layouts):
            measured[_name(layout)].append(_measure(loaded, layout))
            bar.advance()
        for kind in KINDS:
            rows[kind] = _rows(loaded, replace(best, kind=kind))
            bar.advance()
    loaded.close()
    runs: dict[str, Any] = {name: _medians(rounds) for name, rounds in measured.items()}
    for figures in runs.values():
        figures["row_cost"] = (figures["four_one_sequence_ms"] - figures["one_ms"]) / 3 / figures["one_ms"]
    for name, figures in runs.items():
        tell(f"{name:42} " + "  ".join(f"{key} {value:.4g}" for key, value in figures.items()), path)
    ours = runs[_name(replace(best, kind=fastest_cells()))]
    ratios = {f"fastest_vs_ours_{key}": min(each[key] for each in runs.values()) / ours[key] for key in STEPS_TOLD}
    write(report("layouts", {"model": model.name, "threads": threads, "layouts": runs, "rows": rows}, ratios), path)


def _measure(model: Model, layout: Layout) -> dict[str, float]:
    context = Context(model, layout)
    chance = np.random.default_rng(7)
    lengths = dict.fromkeys(range(SEQUENCES + 1), 0)

    def read(sequence: int, count: int) -> None:
        tokens = chance.integers(300, model.tokens, count)
        for start in range(0, count, ROWS):
            part = tokens[start : start + ROWS]
            context.decode([Row(int(t), lengths[sequence] + at, sequence, False) for at, t in enumerate(part)])
            lengths[sequence] += len(part)

    began = time.perf_counter()
    read(0, PREFIX)
    figures = {"prefix_tokens_per_s": PREFIX / (time.perf_counter() - began)}
    for sequence in range(1, SEQUENCES + 1):
        context.copy(0, sequence, PREFIX)
        lengths[sequence] = PREFIX
    began = time.perf_counter()
    for sequence in range(1, SEQUENCES + 1):
        read(sequence, OWN)
    figures["own_tokens_per_s"] = SEQUENCES * OWN / (time.perf_counter() - began)
    for name, shape in SHAPES.items():
        times = []
        for _ in range(STEPS):
            rows = []
            for sequence, count in enumerate(shape, 1):
                for at in range(count):
                    token = int(chance.integers(300, model.tokens))
                    rows.append(Row(token, lengths[sequence] + at, sequence, at == count - 1))
                lengths[sequence] += count
            began = time.perf_counter()
            context.decode(rows)
            times.append(time.perf_counter() - began)
        figures[f"{name}_ms"] = 1e3 * median(times)
    context.close()
    return figures


def _rows(model: Model, layout: Layout) -> dict[str, dict[str, float]]:
    context = Context(model, layout)
    chance = np.random.default_rng(7)

    def step_ms(at: int, count: int, wanted: bool) -> float:
        rows = [Row(int(t), at + n, 0, wanted) for n, t in enumerate(chance.integers(300, model.tokens, count))]
        began = time.perf_counter()
        context.decode(rows)
        return 1e3 * (time.perf_counter() - began)

    def cut_step_ms(at: int, count: int, wanted: bool) -> float:
        taken = step_ms(at, count, wanted)
        context.cut_back(0, at)
        return taken

    told: dict[str, dict[str, float]] = {"empty_ms": {}, "long_ms": {}, "logits_ms": {}}
    for at, name in ((0, "empty_ms"), (LONG, "long_ms")):
        for start in range(0, at, ROWS):
            step_ms(start, min(ROWS, at - start), False)
        for count in ROW_COUNTS:
            told[name][str(count)] = median(cut_step_ms(at, count, False) for _ in range(STEPS))
    for count in ROW_COUNTS:
        wanted = median(cut_step_ms(LONG, count, True) for _ in range(STEPS))
        told["logits_ms"][str(count)] = wanted - told["long_ms"][str(count)]
    context.close()
    return told


def _name(layout: Layout) -> str:
    return ", ".join(
        (
            "unified" if layout.unified else "split",
            "flash" if layout.flash_attention else "plain",
            "all cells" if layout.back is None else "window cells",
            layout.kind,
        )
    )


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(figures[key] for figures in rounds) for key in rounds[0]}
