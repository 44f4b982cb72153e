"""`metrics`: the pipeline for Prometheus, in a process of its own. `run --metrics` starts it beside the pipeline."""

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from commands.feed import KeysOption, ToOption, pipeline_of
from stages.options import ConfigOption, SetOption, say


def metrics(
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:9464",
    to: ToOption = "",
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    with_launcher: Annotated[bool, typer.Option("--with-launcher", help="Stop when standard input is closed.")] = False,
) -> None:
    """Serve /metrics for Prometheus, /healthz and /readyz, about a pipeline that runs or will, until Ctrl-C.

    Whoever can reach the address can read it; no word that was said is in it.

    Examples:  metrics  |  metrics --listen 127.0.0.1:9500 --to ipc:///run/orstate/run/requests
    """
    from pipeline.errors import OrstateError

    try:
        from pipeline.metrics import Metrics
        from pipeline.metrics_server import Server, follow
    except ImportError as error:
        raise OrstateError(f"metrics need prometheus-client: pip install 'orstate[metrics]' ({error})") from error

    endpoint, keys = pipeline_of(to, keys, config, set_)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if with_launcher:
        threading.Thread(target=_until_closed, args=(ended,), daemon=True, name="metrics-launcher").start()
    gathered = Metrics()
    with Server(listen, gathered) as server:
        print(f"{server.url}/metrics", flush=True)
        if not with_launcher:
            say("Ctrl-C ends it")
        follow(endpoint, keys, gathered, ended)


def _until_closed(ended: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    ended.set()
