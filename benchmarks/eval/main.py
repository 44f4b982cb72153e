"""`eval`: how right the states are, by utterances or by whole sessions. Runs in the command's process."""

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks.eval.answering import By, configured
from benchmarks.eval.calibrate import concluded, measure, read_sets
from benchmarks.eval.evaluate import evaluate_sessions, evaluate_utterances
from benchmarks.eval.results import Sessions, Utterances
from benchmarks.eval.room import open_room
from benchmarks.eval.show import show, show_trust
from benchmarks.eval.truth import read_cases
from benchmarks.eval.utterances import Half, read_utterances
from benchmarks.report import machine, versions
from models.manifest import find_manifest
from models.trust import NO_TRUST, save_trust
from pipeline.config import Config, resolve
from pipeline.console import Bar
from pipeline.errors import ConfigError
from stages.surgery import load_surgeries


def main(
    path: Path, by: By, half: Half | None, config: Path | None, settings: Iterable[str], out: Path | None, quiet: bool
) -> None:
    """Evaluate what lies at `path`: print the tables, or with `quiet` the JSON object alone; write that to `out`.

    Raises ConfigError for files that are wrong or missing, OrstateError for a model that cannot be loaded.
    """
    loaded = configured(by, config, settings)
    result = evaluate(path, by, half, loaded)
    head = {
        "path": str(path),
        "by": by,
        "model": "" if by == "rule" else loaded.inference.model,
        "half": half or "",
        "machine": machine(),
        "versions": versions(),
    }
    if not quiet:
        show(result)
    _write({**head, **msgspec.structs.asdict(result)}, out, quiet)


def evaluate(path: Path, by: By, half: Half | None, config: Config) -> Utterances | Sessions:
    """The figures of the utterances in a file, or of the sessions in a folder."""
    surgeries = load_surgeries(resolve(config.prompt.machines))
    if path.is_dir():
        cases = read_cases(path, surgeries, half)
        for fault in (fault for case in cases for fault in case.log.faults):
            print(f"left out: {fault}", file=sys.stderr)
        with closing(open_room(config, by != "rule")) as room, Bar("evaluating", len(cases)) as bar:
            return evaluate_sessions(cases, room, bar.advance)
    rows = read_utterances(path, surgeries, half)
    with closing(open_room(config, by != "rule")) as room, Bar("evaluating", len(rows)) as bar:
        return evaluate_utterances(rows, room, by, config.prompt, surgeries, bar.advance)


def calibrate(path: Path, config: Path | None, settings: Iterable[str], out: Path | None, quiet: bool) -> None:
    """Measure how far the model is trusted, show it, and write it where the model's trust is read.

    All in which it and the rules disagreed goes to `out`, or with `quiet` to standard output in place of the table.

    Raises ConfigError for files that are wrong or missing, OrstateError for a model that cannot be loaded.
    """
    loaded = configured("fused", config, settings)
    model = find_manifest(loaded.inference.model)
    surgeries = load_surgeries(resolve(loaded.prompt.machines))
    sets = read_sets(path, surgeries)
    room = open_room(loaded, with_model=True, trust=NO_TRUST)
    with Bar("calibrating", len(sets.rows) + len(sets.cases)) as bar:
        found = measure(sets, loaded, room, surgeries, bar.advance)
    trust = concluded(found, sets, model.sha256)
    saved = save_trust(trust, model.name)
    if not quiet:
        show_trust(trust)
        print(f"written to {saved}")
    head = {"path": str(path), "model": model.name, "weights": model.sha256}
    _write({**head, "machine": machine(), "versions": versions(), "disagreements": found}, out, quiet)


def _write(result: object, out: Path | None, quiet: bool) -> None:
    written = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if quiet:
        sys.stdout.buffer.write(written)
    elif out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(written)
        except OSError as error:
            raise ConfigError(f"--json {out}: cannot be written: {error.strerror}") from error
        print(f"written to {out}")
