"""The page's process: one event loop with the subscription and the web server."""

import asyncio
import contextlib
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import uvicorn

from pipeline.config import PageSection, resolve
from pipeline.errors import ConfigError
from pipeline.page.access import is_loopback, load_token, read_address
from pipeline.page.app import Page
from pipeline.page.room import Room
from pipeline.page.view import Dictionary
from pipeline.page.watch import Watch

LEAVE_S: Final = 2  # for browsers, at the end


class Settings:
    """Where the page is served, and to whom. Raises ConfigError.

    `make_token`: a file for the token that does not exist is made.
    """

    def __init__(self, section: PageSection, *, make_token: bool = True) -> None:
        self.host, self.port = read_address(section.listen)
        self.loopback = is_loopback(self.host)
        self.certificate = str(resolve(section.certificate)) if section.certificate else None
        self.key = str(resolve(section.key)) if section.key else None
        if not (self.loopback or section.token):
            raise ConfigError(
                f"page address {section.listen!r}: other machines may reach it; set page.token to a file for its token "
                "(it is made if it does not exist), or listen on 127.0.0.1"
            )
        file = resolve(section.token) if section.token else None
        self.token = load_token(file) if file is not None and (make_token or file.exists()) else ""
        if bool(self.certificate) is not bool(self.key):
            raise ConfigError("page.certificate and page.key belong together; give both or none")
        if self.certificate:
            _check_certificate(self.certificate, self.key)

    @property
    def hosts(self) -> frozenset[str]:
        """The names that the page is asked for by. Elsewhere than on loopback only who asks knows them."""
        return frozenset(("localhost", "127.0.0.1", "::1", self.host)) if self.loopback else frozenset()

    def url(self, port: int) -> str:
        """What a browser is given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.key else ''}://{host}:{port}/"

    def bind(self) -> socket.socket:
        """The listening socket. Raises ConfigError."""
        try:
            return socket.create_server((self.host, self.port), family=_family(self.host), backlog=128)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            raise ConfigError(
                f"page address {self.host}:{self.port}: cannot be bound: {why}; choose another"
            ) from error


def serve(
    section: PageSection,
    endpoint: str,
    keys: Path | None,
    dictionaries: Mapping[str, Dictionary],
    tell: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Serve the page of the pipeline at `endpoint` until SIGINT or SIGTERM, or until `stopped`. Raises ConfigError."""
    settings = Settings(section)
    with settings.bind() as listening:
        tell(f"page: {settings.url(listening.getsockname()[1])}")
        if not settings.loopback and not settings.key:
            tell("page: without page.certificate and page.key whoever is on the way can read it, and the token")
        asyncio.run(_run(settings, listening, endpoint, keys, dictionaries, tell, stopped))


async def _run(
    settings: Settings,
    listening: socket.socket,
    endpoint: str,
    keys: Path | None,
    dictionaries: Mapping[str, Dictionary],
    tell: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    room = Room(dictionaries)
    watch = Watch(room, endpoint, keys, tell)
    page = Page(room, watch, f"page-{secrets.token_hex(4)}")
    server = uvicorn.Server(
        uvicorn.Config(
            page.app(settings.token, settings.hosts),
            access_log=False,
            log_level="error",
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=LEAVE_S,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
        )
    )
    watching = asyncio.create_task(watch.run(), name="page-watch")
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="page-server")
    try:
        while not (serving.done() or watching.done()):
            await asyncio.wait((serving, watching), timeout=0.1)
            if stopped() or server.should_exit:
                server.should_exit = True
                page.closing.set()
        if watching.done():
            watching.result()
    finally:
        page.closing.set()
        server.should_exit = True
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await serving


def _check_certificate(certificate: str, key: str | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"page.certificate {certificate} with page.key {key}: cannot be used: {error.strerror or error}; give PEM "
            "files that belong together"
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
