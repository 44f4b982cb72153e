"""The commands that measure: `bench`, how fast it is, and `eval`, how right. Runs in the command's process."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stages.options import ConfigOption, ModelOption, SetOption, configured, settings_of

BenchModelOption = Annotated[str, typer.Option("--model", help="A manifest's name, or a path to a GGUF.")]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE|-", help="Write the figures to this file, or to standard output."),
]

bench_app = typer.Typer(no_args_is_help=True)


@bench_app.callback()
def bench() -> None:
    """Benchmarks, each beside a yardstick in the same run.

    Examples:
        bench pipeline
        bench rules --rounds 10
    """


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .jsonl of utterances, or a folder of sessions with their truth; to calibrate, or both.", exists=True
        ),
    ],
    file: Annotated[
        Path | None, typer.Argument(help="With --json: the file to write; none or - is standard output.")
    ] = None,
    by: Annotated[
        Literal["rule", "llm", "fused"],
        typer.Option(help="Who answers: the rules, the model alone, or both as published."),
    ] = "rule",
    half: Annotated[Literal["tune", "report"] | None, typer.Option(help="Only what is marked as this half.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as a JSON object, to FILE.")] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrate", help="Measure, on the half to tune with, how far the model is trusted.")
    ] = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Evaluate how right the states are: the toggles of utterances, or whole sessions.

    Examples:
        eval examples/understanding/utterances.jsonl
        eval examples/understanding/sessions --by fused --json sessions.json
        eval examples/understanding/calibration --calibrate --json disagreements.json
    """
    from benchmarks.eval.main import calibrate, main

    if calibrated and half == "report":
        raise typer.BadParameter("--calibrate takes the half to tune with; leave out --half report")
    if file is not None and not json:
        raise typer.BadParameter(f"{file}: a second file is written with --json only; give {path} --json {file}")
    to_file = file if file is not None and str(file) != "-" else None
    quiet = json and to_file is None
    configured(config, model, set_)
    if calibrated:
        calibrate(path, config, settings_of(model, set_), to_file, quiet)
    else:
        main(path, by, half, config, settings_of(model, set_), to_file, quiet)


@bench_app.command("pipeline")
def bench_pipeline(json: JsonOption = None) -> None:
    """The machinery with the stub model, beside bare ZeroMQ hops and a memory copy in the same run.

    Examples:
        bench pipeline --json pipeline.json
    """
    from benchmarks.pipeline import main

    main(json)


@bench_app.command("engine")
def bench_engine(
    model: BenchModelOption = "gemma-3-270m",
    peers: Annotated[str, typer.Option(help="Which peers, by comma: sequential, llama-server.")] = (
        "sequential,llama-server"
    ),
    mixes: Annotated[str, typer.Option(help="Sessions of all surgeries, of one, or first one, then the other.")] = (
        "mixed,same"
    ),
    requests: Annotated[int, typer.Option(min=4, help="Of each engine in each round.")] = 24,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json: JsonOption = None,
) -> None:
    """Our engine beside llama-server and the plain library call: the same questions, in turn.

    Examples:
        bench engine
        bench engine --model medgemma-4b-it-q3_k_m --peers llama-server --rounds 1
    """
    from benchmarks.engine import main

    main(model, _names(peers), _names(mixes), requests, rounds, json)


@bench_app.command("update")
def bench_update(
    model: BenchModelOption = "gemma-3-270m",
    shape: Annotated[str, typer.Option(help="medgemma-4b: random weights of that model's shape.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json: JsonOption = None,
) -> None:
    """One update of a running session, beside the earlier design's call; the start with and without saved prefixes.

    Examples:
        bench update
        bench update --shape medgemma-4b
    """
    from benchmarks.update import main

    main(model, shape, rounds, json)


@bench_app.command("adapter")
def bench_adapter(
    model: BenchModelOption = "gemma-3-270m-taught",
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    json: JsonOption = None,
) -> None:
    """One update of a running session, with the model's adapter and without it.

    Examples:
        bench adapter --json adapter.json
    """
    from benchmarks.adapter import main

    main(model, rounds, json)


@bench_app.command("ablations")
def bench_ablations(
    only: Annotated[str, typer.Option(help="Variations, by comma; without it all.")] = "",
    steps: Annotated[int, typer.Option(min=5, help="Of each training.")] = 150,
    keep: Annotated[Path | None, typer.Option(help="A folder; the same again goes on with what was cut off.")] = None,
    json: JsonOption = None,
) -> None:
    """Short trainings that differ in one setting each; about 4 s a step on 2 cores. Needs the extra `training`.

    Examples:
        bench ablations --only shipped,rank-8 --keep ablations
    """
    from benchmarks.ablations import main

    main(_names(only), steps, keep, json)


@bench_app.command("layouts")
def bench_layouts(
    model: ModelOption = None,
    threads: Annotated[int, typer.Option(help="Threads that compute.")] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 2,
    json: JsonOption = None,
) -> None:
    """What a step costs by the layout of the cache.

    Examples:
        bench layouts --threads 4
    """
    from benchmarks.layouts import main
    from models.fetch import ensure
    from models.manifest import find_manifest

    main(ensure(find_manifest(model or configured().inference.model)), threads, rounds, json)


@bench_app.command("rules")
def bench_rules(rounds: Annotated[int, typer.Option(min=1)] = 5, json: JsonOption = None) -> None:
    """Utterances a second that the rule engine reads on one core.

    Examples:
        bench rules --rounds 10
    """
    from benchmarks.rules import main

    main(rounds, json)


@bench_app.command("chaos")
def bench_chaos(
    only: Annotated[str, typer.Option(help="Which scenarios, by comma; default: all.")] = "",
    times: Annotated[int, typer.Option(min=0, help="Faults of each; 0: as many as each is due.")] = 0,
    seed: Annotated[int, typer.Option(help="When the faults come is drawn from it.")] = 7,
    json: JsonOption = None,
) -> None:
    """Inject faults into real processes and compare what comes out with undisturbed runs; if not alike, exit code 1.

    Examples:
        bench chaos --only kill-prompt,kill-parse --times 5
    """
    from benchmarks.chaos.suite import main

    if not main(_names(only), times, seed, json):
        raise typer.Exit(1)


@bench_app.command("fuzz")
def bench_fuzz(
    minutes: Annotated[float, typer.Option(min=0.05, help="Of each target; two run at a time.")] = 10.0,
    targets: Annotated[str, typer.Option(help="Which targets, by comma; default all.")] = "",
    faults: Annotated[Path, typer.Option(help="Where inputs that find a fault are left.")] = Path("fuzz-faults"),
    json: JsonOption = None,
) -> None:
    """Inputs of every kind, changed in every way, against all readers of what comes from outside. Needs `fuzz`.

    Examples:
        bench fuzz --minutes 2 --targets codec,journal
    """
    from benchmarks.fuzz.main import main

    raise typer.Exit(0 if main(minutes, _names(targets), faults, json) else 1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
