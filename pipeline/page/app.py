"""What the page's server answers: the page, its events, the past, and orders. Runs in the page's process.

Events (server-sent) tell what changed since what a browser has: nothing queues for a slow one, it gets the newest.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.errors import OrstateError
from pipeline.messages import Override
from pipeline.page.access import Gate
from pipeline.page.room import Room, Session
from pipeline.page.watch import Watch

PAUSE_S: Final = 0.03  # between two events to one browser: no screen shows more
BEAT_S: Final = 1.0  # something is told so often, so that a browser knows that the connection stands
WRONG_S: Final = 0.5  # a wrong token is answered so late
MOST_BODY: Final = 8192  # bytes of what a browser sends
TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
STATIC: Final = files("pipeline.page") / "static"


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a human orders on the page for one machine."""

    machine: str
    action: Literal["ON", "OFF", "STANDBY", "RELEASE"]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    operator: Annotated[str, Meta(max_length=64)] = ""


_order = msgspec.json.Decoder(Order)


class Page:
    """The application over a room. `publisher` counts its own orders, so no other may have its name."""

    def __init__(self, room: Room, watch: Watch, publisher: str) -> None:
        self._room, self._watch, self._publisher = room, watch, publisher
        self._numbers: dict[str, int] = {}
        self._gate: Gate | None = None
        self.closing = asyncio.Event()

    def app(self, token: str, hosts: frozenset[str]) -> ASGIApp:
        """The ASGI application, behind its gate."""
        routes = [
            Route("/", self._file("index.html", "text/html")),
            *(Route(f"/static/{name}", self._file(name, kind)) for name, kind in TYPES.items()),
            Route("/login", self._file("login.html", "text/html"), methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/events", self._events),
            Route("/api/sessions/{session}/at", self._at),
            Route("/api/sessions/{session}/order", self._order, methods=["POST"]),
        ]
        self._gate = Gate(Starlette(routes=routes), token, hosts)
        return self._gate

    @staticmethod
    def _file(name: str, kind: str) -> Any:
        async def answer(_: Request) -> Response:
            return FileResponse(str(STATIC / name), media_type=f"{kind}; charset=utf-8")

        return answer

    async def _login(self, request: Request) -> Response:
        assert self._gate is not None
        shown = parse_qs((await _body(request)).decode(errors="replace")).get("token", [""])[0].strip()
        if not self._gate.is_token(shown):
            await asyncio.sleep(WRONG_S)
            return RedirectResponse("/login#wrong", 303)
        response = RedirectResponse("/", 303)
        self._gate.admit(response, secure=request.url.scheme == "https")
        return response

    # --- now ---------------------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        known, _, revision = request.headers.get("last-event-id", "").partition("-")
        since = int(revision) if known == self._room.id and revision.isdecimal() else -1
        return StreamingResponse(self._changes(since), media_type="text/event-stream")

    async def _changes(self, since: int) -> AsyncIterator[bytes]:
        changed = self._room.watch()
        known = self._room.id if since >= 0 else ""
        yield b"retry: 500\n\n"
        try:
            while not self.closing.is_set():
                changed.clear()
                if known != self._room.id:
                    known, since = self._room.id, -1
                told, since = self._since(since)
                yield b"id: %s-%d\ndata: %s\n\n" % (known.encode(), since, told)
                await asyncio.sleep(PAUSE_S)
                try:
                    await asyncio.wait_for(changed.wait(), BEAT_S)
                except TimeoutError:
                    continue
        finally:
            self._room.unwatch(changed)

    def _since(self, since: int) -> tuple[bytes, int]:
        """All that changed after a revision, as JSON, and the revision that it comes to."""
        room, now = self._room, time.monotonic()
        told: dict[str, Any] = {"fresh": since < 0, "away": room.away, "spoken": room.spoken}
        told["status_age_s"] = now - room.status_at if room.status else None
        if room.status_revision > since and room.status is not None:
            told["status"] = _health(room)
        told["sessions"] = [
            self._session(session, since, now) for session in room.sessions.values() if session.revision > since
        ]
        return msgspec.json.encode(told), room.revision

    def _session(self, session: Session, since: int, now: float) -> dict[str, Any]:
        return {
            "name": session.name,
            "view": self._room.view(session),
            "age_s": now - session.came_at,
            "over": session.lines.over,
            "first_line": session.lines.first,
            "lines": session.lines.since(since),
            "course": list(session.course),
            "from_t": session.moments[0].t if session.moments else 0.0,
        }

    # --- the past, and orders ----------------------------------------------------------------------------

    async def _at(self, request: Request) -> Response:
        session = self._found(request)
        try:
            t = float(request.query_params.get("t", ""))
        except ValueError:
            raise HTTPException(400, "t is no number; give seconds of message time") from None
        view = self._room.view(session, t)
        if view is None:
            raise HTTPException(404, f"nothing is known of t = {t:g} any more")
        return _json({"view": view})

    async def _order(self, request: Request) -> Response:
        session = self._found(request)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "send application/json")
        try:
            order = _order.decode(await _body(request))
            view = self._room.view(session)
            if view is None or order.machine not in {machine.id for machine in view.machines}:
                raise HTTPException(400, f"{order.machine} is no machine of session {session.name}")
            if session.lines.over:
                raise HTTPException(409, f"session {session.name} is over")
            number = self._numbers.get(session.name, 0) + 1
            message = Override(
                session=session.name,
                seq=number,
                t=view.t,  # not ahead of the publishers: what they send next would lie in the past
                publisher=self._publisher,
                machine=order.machine,
                action=order.action,
                reason=order.reason.strip(),
                operator=order.operator.strip(),
            )
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise HTTPException(400, str(error)) from None
        self._numbers[session.name] = number
        try:
            await self._watch.publish(message)
        except OrstateError as error:
            raise HTTPException(503, str(error)) from None
        return _json({"seq": number})

    def _found(self, request: Request) -> Session:
        session = self._room.sessions.get(request.path_params["session"])
        if session is None:
            raise HTTPException(404, "there is no such session")
        return session


def _health(room: Room) -> dict[str, Any]:
    """Of the status, what a screen shows."""
    status = room.status
    assert status is not None
    wanted = (
        *("model", "model_state", "model_error", "degraded", "degraded_since", "inputs", "last_answer_age_s"),
        *("questions_open", "uptime_s", "final"),
    )
    stages = {
        name: {"state": stage.state, "restarts": stage.restarts, "queue": stage.queue_depth}
        for name, stage in status.stages.items()
    }
    return {name: getattr(status, name) for name in wanted} | {
        "stages": stages,
        "dropped": sum(status.all_dropped.values()),
        "refused": sum(status.all_dead_letters.values()),
    }


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise HTTPException(413, f"more than {MOST_BODY} bytes")
    return body


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
