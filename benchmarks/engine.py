"""`bench engine`: our engine beside those that users of llama.cpp would pick, in one run.

Same GGUF, prompts, JSON schemas, greedy sampling, limit of tokens and number of threads for all. Four sessions are
live; each question's transcript has a line or two more than the session's last one. `..._1` asks one question at a
time, the sessions in turn; `..._4` has one question of each session under way. All are warmed up with each session's
first question. Then come the rounds: in each, every engine answers the same new questions, in an order that rotates.

`valid` is ours; every engine's share stands in `runs`, as do all configurations of llama-server that were tried: it is
compared at its best one, for each way of asking.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

from benchmarks.child import Child
from benchmarks.openers import count_tokens, ours, sequential
from benchmarks.peers.llama_server import CONFIGURATIONS, Configuration, LlamaServer
from benchmarks.report import report, write
from benchmarks.served import Peer, Run, Schemas, faster, figures, overhead
from benchmarks.settings import ours_settings
from benchmarks.workload import Mix, Question, choose, questions
from models.fetch import ensure
from models.manifest import Manifest, find_manifest
from pipeline.config import Config, load_config, resolve
from pipeline.console import Bar
from pipeline.errors import ConfigError
from stages.answer import answer_schema
from stages.surgery import Surgery, load_surgeries

PEERS = ("sequential", "llama-server")
MIXES: tuple[Mix, ...] = get_args(Mix)
SESSIONS = 4
TRIAL_QUESTIONS = 2  # of each session, for each way of asking, to find llama-server's best configuration

Questions = Sequence[Sequence[Question]]
Open = Callable[[], Peer]


def main(model: str, peers: Sequence[str], mixes: Sequence[str], requests: int, rounds: int, path: Path | None) -> None:
    """Run all of it, print the figures, write them to `path`. `requests`: of each engine in each round.

    Raises ConfigError for a peer or mix that does not exist.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers are stopped then too
    _check("--peers", peers, PEERS)
    _check("--mixes", mixes, MIXES)
    config = load_config(None, ours_settings(model))
    chosen = [mix for mix in MIXES if mix in mixes]
    bench = EngineBench(config, find_manifest(model), peers, requests, rounds)
    runs: dict[str, Any] = {
        "model": model,
        "threads": config.inference.threads,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default of each engine"),
    }
    ratios: dict[str, float] = {}
    with Bar("bench engine", len(chosen) * bench.steps, still=True) as bar:
        for mix in chosen:
            runs[mix], found = bench.run(mix, bar)
            ratios |= found if mix == MIXES[0] else {f"{name}_{mix}": value for name, value in found.items()}
    write(report("engine", runs, ratios), path)


class EngineBench:
    """One model, its peers, and how much they are asked."""

    def __init__(self, config: Config, manifest: Manifest, peers: Sequence[str], requests: int, rounds: int) -> None:
        self._config = config
        self._manifest = manifest
        self._peers = peers
        self._each = max(1, requests // SESSIONS)
        self._rounds = rounds
        self._path = ensure(manifest)
        self._surgeries = load_surgeries(resolve(config.prompt.machines))
        self._schemas: Schemas = {
            name: answer_schema(surgery, config.inference.answer) for name, surgery in self._surgeries.items()
        }

    @property
    def steps(self) -> int:
        """How many times a bar advances with each mix."""
        server = "llama-server" in self._peers
        engines = len(self._openers()) + 2 * server
        return server * len(CONFIGURATIONS) + engines * (1 + self._rounds)

    def run(self, mix: Mix, bar: Bar) -> tuple[dict[str, Any], dict[str, float]]:
        """What was measured, and what is compared, with sessions of those surgeries."""
        surgeries: Sequence[Surgery] = choose(list(self._surgeries.values()), mix)
        asked = questions(
            surgeries,
            self._manifest.prompt,
            self._config.inference.answer,
            SESSIONS,
            1 + max(self._rounds * self._each, 2 * TRIAL_QUESTIONS),
        )
        openers = self._openers()
        trials: dict[str, Any] = {}
        if "llama-server" in self._peers:
            trials, best = self._try_servers(asked, bar)
            openers |= {name: partial(self._server, configuration) for name, configuration in best.items()}
        rounds, ends = self._rounds_of(openers, asked, bar)
        tokens = count_tokens(self._path, {one.text for runs in rounds.values() for run in runs for one in run.served})
        told = {name: {**figures(rounds[name], self._schemas, tokens), **ends[name]} for name in rounds}
        return {"engines": told, "llama_server_trials": trials}, self._ratios(rounds, told)

    def _openers(self) -> dict[str, Open]:
        """How each engine is started, by the name under which it is reported."""
        open_ours = partial(Child, "our engine", ours, self._manifest, ours_settings(self._config.inference.model))
        openers: dict[str, Open] = {"ours_1": open_ours, "ours_4": open_ours}
        if "sequential" in self._peers:
            openers["sequential"] = partial(
                Child, "llama-cpp-python", sequential, self._path, self._schemas, *self._limits()
            )
        return openers

    def _server(self, configuration: Configuration) -> Peer:
        return LlamaServer(self._path, self._schemas, configuration, *self._limits())

    def _limits(self) -> tuple[int, int, int]:
        settings = self._config.inference
        return min(settings.context, self._manifest.context), settings.threads, settings.max_tokens

    def _try_servers(self, asked: Questions, bar: Bar) -> tuple[dict[str, Any], dict[str, Configuration]]:
        """Requests a second of each configuration, and the best one for each way of asking."""
        tried: dict[str, dict[str, float]] = {}
        for configuration in CONFIGURATIONS:
            peer = self._server(configuration)
            try:
                peer.serve([own[:1] for own in asked], True)
                one, four = (
                    peer.serve([own[at : at + TRIAL_QUESTIONS] for own in asked], together)
                    for at, together in ((1, False), (1 + TRIAL_QUESTIONS, True))
                )
                tried[configuration.name] = {
                    "llama_server_1": one.requests_per_s,
                    "llama_server_4": four.requests_per_s,
                    "peak_mb": peer.memory()["peak"],
                }
                bar.say(
                    f"tried llama-server, {configuration.name}: {one.requests_per_s:.2f} requests/s one at a time, "
                    f"{four.requests_per_s:.2f} four together"
                )
                bar.advance()
            finally:
                peer.close()
        best = {name: _best(tried, name) for name in ("llama_server_1", "llama_server_4")}
        return {"tried": tried, "best": {name: chosen.name for name, chosen in best.items()}}, best

    def _rounds_of(
        self, openers: Mapping[str, Open], asked: Questions, bar: Bar
    ) -> tuple[dict[str, list[Run]], dict[str, dict[str, Any]]]:
        """The runs of each engine, and what its process told at the end."""
        rounds: dict[str, list[Run]] = {name: [] for name in openers}
        with ExitStack() as open_peers:
            peers: dict[str, Peer] = {}
            for name, opener in openers.items():
                bar.say(f"{name}: start and warm-up")
                peers[name] = opener()
                open_peers.callback(peers[name].close)
                peers[name].serve([own[:1] for own in asked], name.endswith("_4"))
                bar.advance()
            before = {name: peer.counters() for name, peer in peers.items()}
            names = list(peers)
            for number in range(self._rounds):
                part = [own[1 + number * self._each : 1 + (number + 1) * self._each] for own in asked]
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:
                    run = peers[name].serve(part, name.endswith("_4"))
                    bar.say(f"round {number + 1}, {name}: {run.requests_per_s:.2f} requests/s")
                    bar.advance()
                    rounds[name].append(run)
            ends: dict[str, dict[str, Any]] = {
                name: {
                    "answer": rounds[name][-1].served[-1].text,
                    "memory_mb": peer.memory(),
                    "overhead_per_step": overhead(before[name], peer.counters()),
                }
                for name, peer in peers.items()
            }
        return rounds, ends

    def _ratios(self, rounds: Mapping[str, Sequence[Run]], told: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        pairs = {
            "vs_llama_server_4": ("ours_4", "llama_server_4"),
            "vs_llama_server_1": ("ours_1", "llama_server_1"),
            "vs_sequential_4": ("ours_4", "sequential"),
        }
        there = {name: pair for name, pair in pairs.items() if pair[1] in rounds}
        ratios = {name: faster(rounds[us], rounds[them]) for name, (us, them) in there.items()}
        ratios["valid"] = min(told["ours_1"]["valid"], told["ours_4"]["valid"])
        for name, (us, them) in there.items():
            lengths = told[us]["answer_tokens_mean"] / told[them]["answer_tokens_mean"]
            ratios[f"answer_length_{name}"] = lengths
        if told["ours_4"]["overhead_per_step"] is not None:
            ratios["overhead_per_step"] = told["ours_4"]["overhead_per_step"]
        return ratios


def _best(tried: Mapping[str, Mapping[str, float]], way: str) -> Configuration:
    return max(CONFIGURATIONS, key=lambda configuration: tried[configuration.name][way])


def _check(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    if strange := [name for name in given if name not in known]:
        raise ConfigError(f"{option} {','.join(given)}: {strange[0]!r} is not known; give some of {','.join(known)}")
