"""Serves `/metrics`, `/healthz` and `/readyz` over HTTP. Used by the `metrics` command."""

import json
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from pipeline.client import Client
from pipeline.errors import ConfigError, OrstateError
from pipeline.messages import Status
from pipeline.metrics import Metrics

RETRY_S = 1.0  # until a pipeline that is not there is looked for again
LOOK_S = 0.25  # how soon a new status is noticed when no state comes
SERVED: Final = ("prompt", "parse")  # with these it takes messages, and answers

WebApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Server:
    """Serves in threads of its own, from when it is made. Port 0 takes a free one. Raises ConfigError."""

    def __init__(self, listen: str, metrics: Metrics) -> None:
        host, port = address(listen)
        try:
            self._server = make_server(host, port, _app(metrics), _ThreadingServer, _Quiet)
        except OSError as error:
            raise ConfigError(f"{listen}: cannot be listened at: {error.strerror or error}; choose another") from error
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK_S,), name="metrics-http")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT in its parts. Raises ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65_536):
        raise ConfigError(f"{listen!r}: no address to listen at; give HOST:PORT, such as 127.0.0.1:9464")
    return host, int(port)


def follow(endpoint: str, keys: Path | None, metrics: Metrics, ended: threading.Event) -> None:
    """Hear what the pipeline says until `ended`; one that went, or is not there yet, is looked for again.

    Raises ConfigError for what is no endpoint, and for wrong keys.
    """
    while not ended.is_set():
        try:
            with Client(endpoint, RETRY_S, keys) as client:
                _hear(client, metrics, ended)
        except ConfigError:
            raise
        except OrstateError:
            pass
        ended.wait(RETRY_S)


def _hear(client: Client, metrics: Metrics, ended: threading.Event) -> None:
    """Until `ended`, or until the pipeline has ended or says nothing any more."""
    states = client.states(timeout_s=LOOK_S)
    missed = 0
    while not ended.is_set():
        for state in states:
            metrics.state(state)
            metrics.status(states.status)
            if ended.is_set():
                return
        metrics.status(states.status)
        metrics.missed(states.gaps - missed)
        missed = states.gaps
        if metrics.newest() is None:
            return


def healthy(status: Status | None) -> tuple[bool, dict[str, object]]:
    """Whether the pipeline answers, and in words."""
    return status is not None, {"pipeline": "answers" if status is not None else "does not answer"}


def ready(status: Status | None) -> tuple[bool, dict[str, object]]:
    """Whether messages are taken and states come, with or without the model; and how both are."""
    if status is None:
        return False, {"ready": False, "degraded": "the pipeline does not answer"}
    stages = {name: stage.state for name, stage in status.stages.items()}
    is_ready = all(stages.get(name) == "ready" for name in SERVED)
    model = {"name": status.model, "state": status.model_state, "error": status.model_error}
    return is_ready, {"ready": is_ready, "stages": stages, "model": model, "degraded": status.degraded}


def _app(metrics: Metrics) -> WebApp:
    scrape: WebApp = make_wsgi_app(metrics.registry)
    told = {"/healthz": healthy, "/readyz": ready}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return scrape(environ, start_response)
        if path in told:
            good, body = told[path](metrics.newest())
            status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        else:
            status, body = HTTPStatus.NOT_FOUND, {"paths": ["/metrics", *told]}
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(body).encode() + b"\n"]

    return app


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    """A client that does not read keeps nobody waiting."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """No line for each scrape."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
