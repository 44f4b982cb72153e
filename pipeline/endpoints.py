"""Endpoints, of the configuration and of clients: what is one, and sockets bound or connected there. All processes.

An error names the key, the value, why, and what to do. ZeroMQ takes more than it should: of port 70000 it binds
4464, and of an `ipc` path it removes whatever is there, another program's endpoint or a file.
"""

import errno
import re
import socket as unix
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import zmq

from pipeline.errors import ConfigError, OrstateError
from pipeline.sockets import Socket

ALL_ADDRESSES: Final = ("*", "0.0.0.0")
MAX_IPC_PATH: Final = 107  # bytes in sockaddr_un.sun_path, without the closing zero
_TCP = re.compile(r"tcp://(?P<host>[^\s:\[\]]+):(?P<port>[0-9]{1,5})")
_IPC = re.compile(r"ipc://(?P<path>(?!\*\Z)[^\0]+)")
_ADVICE: Final = {
    errno.EADDRINUSE: "stop what listens there, or choose another",
    errno.ENODEV: "choose an address of this machine, or * for all of them",
    errno.EADDRNOTAVAIL: "choose an address of this machine, or * for all of them",
    errno.ENOENT: "make its folder, or choose another path",
    errno.EACCES: "choose one that this user may use",
}


def check(key: str, endpoint: str, *, words: Sequence[str] = (), to_bind: bool = True) -> None:
    """Look at the form only. Raises ConfigError. `words`: what the key may say instead of an endpoint."""
    if endpoint in words or not (why := _fault(endpoint, to_bind)):
        return
    forms = ["tcp://address:port", "ipc:///path", *(f'"{word}"' for word in words)]
    raise ConfigError(f"{key} = {endpoint!r}: {why}; give {', '.join(forms[:-1])} or {forms[-1]}")


def bind(socket: Socket, endpoint: str, key: str) -> None:
    """Bind a socket to what that key says. Raises ConfigError, also if somebody listens there already."""
    if (match := _IPC.fullmatch(endpoint)) and (why := _occupied(match["path"])):
        raise ConfigError(f"{key} = {endpoint!r}: cannot be bound: {why}")
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise ConfigError(f"{key} = {endpoint!r}: cannot be bound: {_explained(error.errno)}") from error


def connect(socket: Socket, endpoint: str, key: str) -> None:
    """Connect a socket to what that key says; nobody need be there yet. Raises ConfigError."""
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise ConfigError(f"{key} = {endpoint!r}: cannot be connected to: {_explained(error.errno)}") from error


def reach(socket: Socket, endpoint: str, key: str) -> None:
    """Connect a client's socket. Raises ConfigError; `key`: what the client gave, or was told, the endpoint as."""
    check(key, endpoint, to_bind=False)
    connect(socket, endpoint, key)


def seen_from(by: str, endpoint: str) -> str:
    """Where to connect to for what is bound at `endpoint`, for one who reaches its process at `by`.

    What is bound to all addresses is there under that of `by`; under this machine's own, if `by` is none of TCP.
    """
    match = _TCP.fullmatch(endpoint)
    if match is None or match["host"] not in ALL_ADDRESSES:
        return endpoint
    there = _TCP.fullmatch(by)
    return f"tcp://{there['host'] if there else '127.0.0.1'}:{match['port']}"


def unanswered(endpoint: str, timeout_s: float) -> OrstateError:
    """The error that nobody answers there, and why, if that can be seen."""
    match = _IPC.fullmatch(endpoint)
    folder = Path(match["path"]).parent if match else None
    if folder is not None and not folder.exists():
        return OrstateError(f"{endpoint}: the folder {folder} does not exist; give the endpoint of a running pipeline")
    return OrstateError(f"{endpoint}: nobody answers within {timeout_s:g} s; does the pipeline run?")


def _fault(endpoint: str, to_bind: bool) -> str:
    transport, separator, _ = endpoint.partition("://")
    if not separator:
        return "it names no transport"
    if transport == "tcp":
        match = _TCP.fullmatch(endpoint)
        if match and 1 <= int(match["port"]) <= 65_535 and (to_bind or match["host"] != "*"):
            return ""
        return f"tcp:// needs an address{'' if to_bind else ' other than *'} and a port from 1 to 65535"
    if transport == "ipc":
        match = _IPC.fullmatch(endpoint)
        if match and len(match["path"].encode()) <= MAX_IPC_PATH:
            return ""
        return f"ipc:// needs a path of 1 to {MAX_IPC_PATH} bytes"
    return f"{transport}:// is no transport between processes that is known here"


def _occupied(path: str) -> str:
    """Why a file at that path must not make way; "" for the socket of a process that was killed, or for none."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:  # nothing is there, or it cannot be seen: then ZeroMQ says why not
        return ""
    if not stat.S_ISSOCK(mode):
        return "a file is there, and binding would remove it; choose another path"
    with unix.socket(unix.AF_UNIX) as visitor:
        visitor.setblocking(False)
        listened_to = visitor.connect_ex(path) in (0, errno.EAGAIN)  # EAGAIN: more visitors than it lets in
    return _explained(errno.EADDRINUSE) if listened_to else ""


def _explained(number: int | None) -> str:
    code = number or 0
    return f"{zmq.strerror(code)}; {_ADVICE.get(code, 'choose another')}"
