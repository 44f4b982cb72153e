"""`bench update`: how long one update of a running session takes, beside the earlier design's call, on the same model.

An update of ours: the session's prompt is computed; a new line comes, the question about it is asked through the
backend, the small answer is there. The earlier design gave a whole chat with the dictionary to the plain library call
and had the full contract written (peers/earlier.py). Its first call in a process is told by itself; `vs_earlier_design`
compares with those after it, where the library finds the prompt's beginning computed. Both greedy, same threads.

`warm_vs_cold_start`: how long the first answer of a new process takes, about the first line of a session, with the
computed prompt beginnings on disk, by what it takes without. `..._process` counts the start of the process and the
loading of the model too, which take the same time either way.

With `--shape medgemma-4b` the model has MedGemma-4B's shape and random weights. How long its answers get would be
chance: `BOUNDS` fix the lengths of texts and lists in the schemas of both sides, so that both answers are somewhat
shorter than real ones (50 to 60 tokens in the small form, 200 in the earlier design's). The counts stand in `runs`.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, median
from typing import Any

import msgspec

from benchmarks.bounds import Bounds
from benchmarks.child import Child
from benchmarks.openers import count_tokens, earlier, ours
from benchmarks.report import report, write
from benchmarks.served import Peer, Served, valid
from benchmarks.settings import keeps_prefixes, ours_settings
from benchmarks.workload import Question, choose, questions
from models.fetch import ensure
from models.manifest import Manifest, find_manifest
from models.store import weights_folder
from pipeline.config import Config, load_config, resolve
from pipeline.console import Bar
from pipeline.errors import ConfigError
from stages.answer import AnswerForm, answer_schema
from stages.prompt.taught import taught_by
from stages.surgery import Surgery, load_surgeries

SHAPES = ("medgemma-4b",)
WHOLE_TOKENIZER = "gemma-3-270m-full"  # the same as MedGemma's
MEDGEMMA = "medgemma-4b-it-q3_k_m"
BOUNDS = Bounds(characters=24, tips=1, machines=1)
UPDATES = 3  # of ours, for each call of the earlier design: they are short


def main(model: str, shape: str, rounds: int, path: Path | None) -> None:
    """Run all of it, print the figures, write them to `path`. `rounds`: calls of the earlier design after its first.

    Raises ConfigError for a shape that does not exist.
    """
    if shape and shape not in SHAPES:
        raise ConfigError(f"--shape {shape}: not known; give one of {', '.join(SHAPES)}")
    bench = UpdateBench(_shaped() if shape else find_manifest(model), BOUNDS if shape else None, rounds)
    with Bar("bench update", 2 + rounds + (2 * rounds if keeps_prefixes() else 0), still=True) as bar:
        runs, ratios = bench.updates(bar)
        runs = {"model": shape or model, "bounds": bench.bounds, **runs}
        if keeps_prefixes():
            runs["start"] = bench.starts(bar)
    if "start" in runs:
        for what in ("start", "start_process"):
            kind = what.removeprefix("start")
            warm, cold = (median(runs["start"][f"{start}{kind}_s"]) for start in ("warm", "cold"))
            ratios[f"warm_vs_cold_{what}"] = warm / cold
    write(report("update", runs, ratios), path)


class UpdateBench:
    """One model and one session of it."""

    def __init__(self, manifest: Manifest, bounds: Bounds | None, rounds: int) -> None:
        self.bounds = bounds
        self._manifest = manifest
        self._path = ensure(manifest)
        self._rounds = rounds
        self._config: Config = load_config(None, ours_settings(str(self._path)))
        self._surgeries = load_surgeries(resolve(self._config.prompt.machines))
        surgeries: Sequence[Surgery] = choose(list(self._surgeries.values()), "same")
        count = 1 + max(rounds * UPDATES, rounds + 1)
        taught = taught_by(manifest)
        [self._asked] = questions(surgeries, manifest.prompt, "small", 1, count, (1,), taught=taught)
        [[self._first_line]] = questions(surgeries, manifest.prompt, "small", 1, 1, first_lines=1, taught=taught)

    def updates(self, bar: Bar) -> tuple[dict[str, Any], dict[str, float]]:
        """What was measured of both designs, in turn, and what is compared."""
        settings = self._config.inference
        context = min(settings.context, self._manifest.context)
        with ExitStack() as open_peers:
            bar.say("our engine: start, and the session's prompt")
            new = self._ours("")
            open_peers.callback(new.close)
            first = _ask(new, self._asked[:1])
            bar.advance()
            bar.say("the earlier design: start, and its first call")
            old = Child(
                "llama-cpp-python", earlier, self._path, self._surgeries, context, settings.threads, self.bounds
            )
            open_peers.callback(old.close)
            cold = _ask(old, self._asked[:1])
            bar.advance()
            updates: list[Served] = []
            calls: list[Served] = []
            for number in range(self._rounds):
                updates += _ask(new, self._asked[1 + number * UPDATES : 1 + (number + 1) * UPDATES])
                calls += _ask(old, self._asked[1 + number : 2 + number])
                bar.say(f"round {number + 1}: update {updates[-1].seconds:.2f} s, call {calls[-1].seconds:.2f} s")
                bar.advance()
        tokens = count_tokens(self._path, {one.text for one in (*first, *updates, *cold, *calls)})
        runs = {
            "first": self._told(first, "small", tokens),
            "updates": self._told(updates, "small", tokens),
            "earlier_design_first_call": self._told(cold, "full", tokens),
            "earlier_design_calls": self._told(calls, "full", tokens),
        }
        update_s = median(one.seconds for one in updates)
        ratios = {
            "update_s": update_s,
            "vs_earlier_design": median(one.seconds for one in calls) / update_s,
            "vs_earlier_design_first": cold[0].seconds / update_s,
        }
        return runs, ratios

    def starts(self, bar: Bar) -> dict[str, list[float]]:
        """Seconds to the first answer of a process, with and without computed prompt beginnings: from the question on,
        and from the start of the process on."""
        seconds: dict[str, list[float]] = {"cold_s": [], "warm_s": [], "cold_process_s": [], "warm_process_s": []}
        with tempfile.TemporaryDirectory(prefix="or-prefixes-") as folder:
            filling = self._ours(folder)
            try:
                filling.call("warm", self._first_line)
            finally:
                filling.close()
            for number in range(self._rounds):
                for start, prefix_cache in (("cold", ""), ("warm", folder)):
                    whole, answer = self._start(prefix_cache)
                    seconds[f"{start}_s"].append(answer)
                    seconds[f"{start}_process_s"].append(whole)
                    bar.say(f"start {number + 1}, {start}: {whole:.2f} s, of which the answer {answer:.2f} s")
                    bar.advance()
        return seconds

    def _start(self, prefix_cache: str) -> tuple[float, float]:
        begin = time.perf_counter()
        peer = self._ours(prefix_cache)
        try:
            [answer] = _ask(peer, [self._first_line])
            return time.perf_counter() - begin, answer.seconds
        finally:
            peer.close()

    def _ours(self, prefix_cache: str) -> Child:
        settings = ours_settings(str(self._path), prefix_cache)
        return Child("our engine", ours, self._manifest, settings, self.bounds)

    def _told(self, served: Sequence[Served], form: AnswerForm, tokens: dict[str, int]) -> dict[str, Any]:
        schemas = {name: answer_schema(surgery, form) for name, surgery in self._surgeries.items()}
        errors = sorted({one.error for one in served if one.error})
        return {
            "seconds": [one.seconds for one in served],
            "prompt_tokens": [one.prompt_tokens for one in served],
            "reused_tokens": [one.reused_tokens for one in served],
            "answer_tokens": [tokens[one.text] for one in served],
            "valid": fmean(valid(one.text, schemas[one.surgery]) for one in served),
            "answer": served[-1].text,
            **({"errors": errors} if errors else {}),
        }


def _ask(peer: Peer, asked: Sequence[Question]) -> list[Served]:
    return peer.serve([asked], together=False).served


def _shaped() -> Manifest:
    """A model of MedGemma-4B's shape, with all tokens of its tokenizer; made in the folder of weights if need be."""
    from benchmarks.shapes import medgemma_4b

    made = medgemma_4b(ensure(find_manifest(WHOLE_TOKENIZER)), weights_folder())
    medgemma = find_manifest(MEDGEMMA)
    return msgspec.structs.replace(medgemma, name=made.stem, file=str(made), sha256="", size_gib=0.0, source=None)
