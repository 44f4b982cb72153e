"""The command line of orstate. Simulation and research only: it controls nothing."""

import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.commands import bench_app, evaluate
from commands.feed import publish, status, subscribe
from commands.journal import export, redact, verify
from commands.keys import keys_app
from commands.line import CommandLine
from commands.metrics import metrics, metrics_beside, metrics_told
from commands.monitor import monitor
from commands.page import page as page_command
from commands.page import page_beside, page_told
from commands.report.command import report
from models.commands import models_app
from stages.options import ConfigOption, JsonOption, ModelOption, SetOption, configured, say, tell

ResumeOption = Annotated[
    Path | None, typer.Option(help="The journal folder of a run that was cut off: go on with it.", exists=True)
]

app = typer.Typer(
    cls=CommandLine,
    help="""Tells the state of a (simulated) operating room from what is said and seen in it.

Examples:
    replay examples/pcnl_session.jsonl
    run --page 127.0.0.1:8080
""",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.command()
def run(
    config: ConfigOption = None,
    model: ModelOption = None,
    set_: SetOption = None,
    resume: ResumeOption = None,
    page: Annotated[str, typer.Option(help="Serve the live page there, such as 127.0.0.1:8080.")] = "",
    events: Annotated[bool, typer.Option("--events", help="Events as JSON lines on standard output.")] = False,
    with_launcher: Annotated[
        bool, typer.Option("--with-launcher", help="Stop when standard input is closed, as a launcher's end.")
    ] = False,
    metrics_at: Annotated[
        str, typer.Option("--metrics", metavar="HOST:PORT", help="Serve metrics there, in a process of its own.")
    ] = "",
) -> None:
    """Run the pipeline until Ctrl-C; a first signal finishes the work, a second one stops at once.

    Examples:
        run --page 127.0.0.1:8080
        run --set 'ingress.connect=["tcp://127.0.0.1:5555"]' --metrics 127.0.0.1:9464
    """
    import msgspec

    from pipeline.supervisor import Supervisor

    served = (("page", page), ("metrics", metrics_at))
    settings = [*(set_ or ()), *(f"{section}.listen={at!r}" for section, at in served if at)]
    loaded = configured(config, model, settings)
    shown = page_beside(loaded, config, settings)
    measured = metrics_beside(loaded)

    def told(event: Any) -> None:
        shown.follow(event)
        measured.follow(event)
        line = msgspec.json.encode(event) + b"\n" if events else f"{event.sentence()}\n".encode()
        while line:  # to the descriptor: a thread that blocks in a file object would hold its lock at the end
            line = line[os.write(1 if events else 2, line) :]

    with shown, measured:
        code = Supervisor(loaded, told, with_launcher, resume).run()
    raise typer.Exit(code)


@app.command()
def replay(
    log: Annotated[
        Path, typer.Argument(help="An .mcap journal or log, a run's journal folder, or a .jsonl.", exists=True)
    ],
    speed: Annotated[str, typer.Option(help="max (lockstep), or a factor of real time.")] = "max",
    config: ConfigOption = None,
    model: ModelOption = None,
    surgery: Annotated[str, typer.Option(help="The surgery, for a log that names none.")] = "",
    states: Annotated[
        str, typer.Option(help="Write each state as a JSON line to this file; - is standard output.")
    ] = "",
    journal: Annotated[Path | None, typer.Option(help="The folder in which the run's journal folder is made.")] = None,
    resume: ResumeOption = None,
    as_json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Replay a recorded session through all processes and show what comes out.

    Examples:
        replay examples/pcnl_session.jsonl --speed 20
        replay journal/RUN --model stub --states states.jsonl
    """
    import msgspec

    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from pipeline.log import Log
    from pipeline.replay import replay as run_replay
    from pipeline.screen import Screen
    from stages.surgery import find_surgery, load_surgeries

    if as_json and states == "-":
        raise typer.BadParameter("--json and --states - both want standard output; give --states a file")
    settings = list(set_ or [])
    if journal is not None:
        settings.append(f"run.journal={str(journal.absolute())!r}")
    loaded = configured(config, model, settings)
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
            on_state=screen.state,
            on_response=screen.response,
            on_sent=screen.sent,
            on_event=screen.event,
            resume=resume,
        )
    if as_json:
        print(msgspec.json.encode(summary).decode())
    else:
        screen.summary(summary)
    raise typer.Exit(1 if summary.failure else 0)


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="The .mcap file to write.")],
    connect: Annotated[list[str] | None, typer.Option(help="A publisher's endpoint; may be given again.")] = None,
    bind: Annotated[str, typer.Option(help="An endpoint to which publishers connect.")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Record what publishers send, until Ctrl-C, into a log that replays.

    Examples:
        record case.mcap --connect tcp://127.0.0.1:5555
    """
    from pipeline.record import record as run_record

    if not (connect or bind):
        raise typer.BadParameter("give at least one --connect ENDPOINT (or --bind)")
    loaded = configured(config, None, set_)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: stopped.append(n))
    count = run_record(
        out,
        connect or [],
        bind,
        loaded,
        lambda: not stopped,
        lambda line: say(line) if line.startswith(("recording", "dead", "turned away")) else None,
    )
    tell({"file": str(out), "messages": count}, as_json, f"{out}: {count} messages")


@app.command()
def check(
    config: ConfigOption = None, model: ModelOption = None, set_: SetOption = None, as_json: JsonOption = False
) -> None:
    """Say what would fail, and why: configuration, model, endpoints, shared memory, journal, page, metrics.

    Examples:
        check --model medgemma-4b-it-q3_k_m
        check --set ingress.bind=tcp://127.0.0.1:5555 --json
    """
    import json

    from models.manifest import find_manifest
    from models.store import verify as verify_model
    from models.trust import told
    from pipeline.check import Finding, attempt, findings
    from pipeline.config import DEFAULT_FILE
    from stages.prompt.site_words import load_vocabulary

    loaded = configured(config, model, set_)
    name = loaded.inference.model
    found = [
        Finding(True, "configuration", str(config or DEFAULT_FILE)),
        attempt("surgeries and words", lambda: ", ".join(load_vocabulary(loaded.prompt).surgeries)),
        attempt("model", lambda: "stub, no file" if name == "stub" else verify_model(find_manifest(name))),
        attempt("trust in the model", lambda: told(find_manifest(name))),
        *findings(loaded),
    ]
    if loaded.page.listen:
        found.append(attempt("page", lambda: page_told(loaded.page)))
    if loaded.metrics.listen:
        found.append(attempt("metrics", lambda: metrics_told(loaded.metrics)))
    if as_json:
        print(json.dumps([finding._asdict() for finding in found]))
    for finding in () if as_json else found:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.detail}")
    raise typer.Exit(0 if all(finding.ok for finding in found) else 1)


app.command()(publish)
app.command()(subscribe)
app.command()(status)
app.command()(monitor)
app.command()(metrics)
app.command("page")(page_command)
app.command()(export)
app.command()(report)
app.command()(verify)
app.command()(redact)
app.command("eval")(evaluate)
app.add_typer(keys_app, name="keys")
app.add_typer(models_app, name="models")
app.add_typer(bench_app, name="bench")


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


def main() -> None:
    """Run a command: what `orstate` calls."""
    app()


if __name__ == "__main__":
    main()
