"""`bench adapter`: what an adapter costs. An update of a running session with it and without it, in turn.

`with_vs_without`: the same questions, and texts and lists of fixed lengths (`BOUNDS`) on both sides, so that the
answers have as many characters whatever the weights say.
`vs_base`: beside the model that the adapter is for as that one is shipped, with its own prompts and answers as long as
they come.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.bounds import Bounds
from benchmarks.child import Child
from benchmarks.openers import count_tokens, ours
from benchmarks.report import report, write
from benchmarks.served import Served
from benchmarks.settings import ours_settings
from benchmarks.workload import Question, choose, questions
from models.fetch import ensure
from models.manifest import Manifest, MergedSource, find_manifest, load_manifests
from pipeline.config import load_config, resolve
from pipeline.console import Bar
from pipeline.errors import ConfigError
from stages.prompt.taught import taught_by
from stages.surgery import load_surgeries

BOUNDS = Bounds(characters=36, tips=1, machines=1)  # about what the shipped adapter answers
UPDATES = 4  # of each side in a round


def main(model: str, rounds: int, path: Path | None) -> None:
    """Run all of it, print the figures, write them to `path`. Raises ConfigError for a model without an adapter."""
    taught = find_manifest(model)
    if taught.adapter is None:
        raise ConfigError(f"--model {model}: has no adapter; give one of {', '.join(_taught())}")
    assert isinstance(taught.source, MergedSource)
    base = find_manifest(taught.source.model)
    bare = msgspec.structs.replace(base, examples=taught.examples, window_lines=taught.window_lines, links=taught.links)
    with Bar("bench adapter", 2 * (1 + rounds), still=True) as bar:
        bound = _rounds({"with": taught, "without": bare}, BOUNDS, rounds, bar)
        free = _rounds({"taught": taught, "base": base}, None, rounds, bar)
    tokens = count_tokens(
        ensure(taught), {one.text for side in (bound, free) for each in side.values() for one in each}
    )
    runs = {"model": model, "base": base.name, "bounds": BOUNDS}
    for name, served in (bound | free).items():
        runs[name] = {
            "seconds": [one.seconds for one in served],
            "answer_tokens": [tokens[one.text] for one in served],
            "answer": served[-1].text,
        }
    ratios = {
        "update_s": median(one.seconds for one in free["taught"]),
        "with_vs_without": _ratio(_seconds(bound["with"]), _seconds(bound["without"])),
        "vs_base": _ratio(_seconds(free["taught"]), _seconds(free["base"])),
    }
    write(report("adapter", runs, ratios), path)


def _rounds(sides: dict[str, Manifest], bounds: Bounds | None, rounds: int, bar: Bar) -> dict[str, list[Served]]:
    """The answers of each side to the updates of one session, in turn, after a first question that is not counted."""
    asked = {name: _questions(manifest, 1 + rounds * UPDATES) for name, manifest in sides.items()}
    served: dict[str, list[Served]] = {name: [] for name in sides}
    with ExitStack() as open_peers:
        peers: dict[str, Child] = {}
        for name, manifest in sides.items():
            bar.say(f"{name}: start, and the session's prompt")
            peers[name] = Child(name, ours, manifest, ours_settings(str(ensure(manifest))), bounds)
            open_peers.callback(peers[name].close)
            peers[name].serve([asked[name][:1]], together=False)
        bar.advance()
        for number in range(rounds):
            for name, peer in peers.items():
                due = asked[name][1 + number * UPDATES : 1 + (number + 1) * UPDATES]
                served[name] += peer.serve([due], together=False).served
                bar.say(f"round {number + 1}, {name}: {served[name][-1].seconds:.3f} s")
            bar.advance()
    return served


def _questions(manifest: Manifest, count: int) -> list[Question]:
    config = load_config(None, ())
    surgeries = choose(list(load_surgeries(resolve(config.prompt.machines)).values()), "same")
    [asked] = questions(surgeries, manifest.prompt, "small", 1, count, (1,), taught=taught_by(manifest))
    return asked


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The middle one of the ratios of neighbours, which met the same moment of the machine."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def _seconds(served: Sequence[Served]) -> list[float]:
    return [one.seconds for one in served]


def _taught() -> list[str]:
    return [name for name, manifest in load_manifests().items() if manifest.adapter is not None]
