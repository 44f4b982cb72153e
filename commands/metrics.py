"""`metrics`: the pipeline for Prometheus, in a process of its own. `run --metrics` starts it beside the pipeline."""

import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from commands.feed import KeysOption, ToOption, connected, pipeline_of
from stages.options import ConfigOption, SetOption, configured, say, until_closed

if TYPE_CHECKING:
    from pipeline.beside import Beside
    from pipeline.config import Config, MetricsSection
    from pipeline.metrics import Metrics
    from pipeline.metrics_server import Server

HERE = "127.0.0.1:9464"


def metrics(
    listen: Annotated[
        str, typer.Option(help=f"HOST:PORT, port 0 takes a free one; default: metrics.listen, or {HERE}.")
    ] = "",
    to: ToOption = "",
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    with_launcher: Annotated[bool, typer.Option("--with-launcher", help="Stop when standard input is closed.")] = False,
) -> None:
    """Serve /metrics for Prometheus, /healthz and /readyz, about a pipeline that runs or will, until Ctrl-C.

    Whoever can reach the address can read it; no word that was said is in it.

    Examples:
        metrics
        metrics --listen 127.0.0.1:9500 --to ipc:///run/orstate/run/requests
    """
    metrics_, server, follow = _server()
    listen = listen or configured(config, None, set_).metrics.listen or HERE
    endpoint, keys = pipeline_of(to, keys, config, set_)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if with_launcher:
        threading.Thread(target=until_closed, args=(ended,), daemon=True, name="metrics-launcher").start()
    gathered = metrics_()
    with server(listen, gathered) as serving:
        say(f"metrics: {serving.url}/metrics" + ("" if with_launcher else "; Ctrl-C ends it"))
        follow(endpoint, keys, gathered, ended)


def metrics_beside(loaded: "Config") -> "Beside":
    """The metrics that a run starts of its own, if its configuration names an address. Raises OrstateError."""
    from pipeline.beside import Beside
    from pipeline.launch import PROGRAM

    listen = loaded.metrics.listen
    if not listen:
        return Beside("metrics", (), say)
    _server()
    from pipeline.metrics_server import address

    address(listen)  # what is wrong with it is told before anything runs
    return Beside("metrics", (*PROGRAM, "metrics", "--with-launcher", "--listen", listen, *connected(loaded)), say)


def metrics_told(section: "MetricsSection") -> str:
    """What a run will serve there, and to whom. Raises OrstateError for what would fail."""
    metrics_, server, _ = _server()
    from pipeline.metrics_server import address

    host, port = address(section.listen)
    with server(section.listen, metrics_()):
        return f"http://{host}:{port}/metrics for whoever reaches that address, without a token"


def _server() -> "tuple[type[Metrics], type[Server], Callable[..., None]]":
    from pipeline.errors import OrstateError

    try:
        from pipeline.metrics import Metrics
        from pipeline.metrics_server import Server, follow
    except ModuleNotFoundError as error:
        raise OrstateError(f"metrics need {error.name}: pip install 'orstate[metrics]'") from error
    return Metrics, Server, follow
