"""Who may see the page and order something on it. Runs in the page's process.

On loopback whoever has an account of this machine; elsewhere whoever shows the token. The browser keeps a cookie that
is made from the token and is not the token. Requests that another site's page makes in the browser are refused: by the
name that they ask for (DNS rebinding), and by their origin.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import ConfigError

COOKIE: Final = "orstate-page"
KEPT_S: Final = 12 * 3600
LEAST_CHARACTERS: Final = 16
OPEN_TO_ALL: Final = ("/login", "/static/page.css", "/static/icon.svg")
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LISTEN: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(?P<port>[0-9]{1,5})")


def read_address(listen: str) -> tuple[str, int]:
    """Host and port. Raises ConfigError."""
    match = _LISTEN.fullmatch(listen)
    if match is None or not 0 <= int(match["port"]) <= 65_535:
        raise ConfigError(f"page address {listen!r}: give it as address:port, such as 127.0.0.1:8080")
    return match["host"].strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_token(file: Path) -> str:
    """The token in a file; a file that does not exist is made, with a new one, mode 0600. Raises ConfigError."""
    try:
        if not os.path.lexists(file):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as new:
                new.write(secrets.token_urlsafe(32) + "\n")
        status = file.stat()
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid not in (os.getuid(), 0):
            raise ConfigError(f"page token {file}: others can read it; run: chmod 600 {file}")
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"page token {file}: cannot be read: {error}") from error
    if len(token) < LEAST_CHARACTERS:
        raise ConfigError(
            f"page token {file}: has {len(token)} characters; give {LEAST_CHARACTERS} or more, or remove the file to "
            "have one made"
        )
    return token


class Gate:
    """In front of the whole application: lets in whom it may, and puts the headers on each answer.

    `token`: "" lets everybody in. `hosts`: the names that the page is asked for by, without ports; none: any.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self._refusal(HTTPConnection(scope)) or self._app)(scope, receive, with_headers)

    def is_token(self, shown: str) -> bool:
        """Whether it is the token; takes as long whatever was shown."""
        return hmac.compare_digest(shown.encode(), self._token)

    def admit(self, response: Response, secure: bool) -> None:
        """Give the browser what it shows from now on."""
        response.set_cookie(
            COOKIE, self._pass(), max_age=KEPT_S, httponly=True, samesite="strict", path="/", secure=secure
        )

    def _pass(self) -> str:
        return hmac.new(self._token, b"orstate page", hashlib.sha256).hexdigest()

    def _refusal(self, request: HTTPConnection) -> Response | None:
        headers, path = request.headers, request.url.path
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("orstate is not served by that name", 421)
        if request.scope["method"] not in ("GET", "HEAD") and not _is_own(headers):
            return PlainTextResponse("another site's page may not order anything here", 403)
        if not self._token or path in OPEN_TO_ALL or self._knows(request):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        return PlainTextResponse("show the token: Authorization: Bearer TOKEN", 401, {"www-authenticate": "Bearer"})

    def _knows(self, request: HTTPConnection) -> bool:
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.casefold() == "bearer" and self.is_token(shown.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._pass().encode())


def _name(host: str) -> str:
    return re.sub(r":[0-9]+\Z", "", host).strip("[]").casefold()


def _is_own(headers: Headers) -> bool:
    """Whether it comes from our own page, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or origin.partition("://")[2] == headers.get("host", "")
