"""Endpoints, of the configuration and of clients: what is one, and sockets bound or connected there. All processes.

An error names the key, the value, why, and what to do. ZeroMQ takes more than it should: of port 70000 it binds
4464, and of an `ipc` path it removes whatever is there, another program's endpoint or a file. Without keys only this
machine is let in: `tcp` binds to loopback, `ipc` in a folder that others cannot use.
"""

import errno
import ipaddress
import os
import re
import socket as unix
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import zmq

from pipeline import curve
from pipeline.errors import ConfigError, OrstateError
from pipeline.sockets import Socket

ALL_ADDRESSES: Final = ("*", "0.0.0.0")
MAX_IPC_PATH: Final = 107  # bytes in sockaddr_un.sun_path, without the closing zero
OTHERS_IN: Final = 0o027  # bits of a folder's mode: the group changes it, others do anything with it
_TCP = re.compile(r"tcp://(?P<host>[^\s:\[\]]+):(?P<port>[0-9]{1,5})")
_IPC = re.compile(r"ipc://(?P<path>(?!\*\Z)[^\0]+)")
_ADVICE: Final = {
    errno.EADDRINUSE: "stop what listens there, or choose another",
    errno.ENODEV: "choose an address of this machine, or * for all of them",
    errno.EADDRNOTAVAIL: "choose an address of this machine, or * for all of them",
    errno.ENOENT: "make its folder, or choose another path",
    errno.EACCES: "choose one that this user may use",
}


class Door(Protocol):
    """What binds and connects sockets: this module without keys, pipeline/guard.py with them."""

    def bind(self, socket: Socket, endpoint: str, key: str) -> None:
        """See `bind`."""

    def connect(self, socket: Socket, endpoint: str, key: str) -> None:
        """See `connect`."""


def check(key: str, endpoint: str, *, words: Sequence[str] = (), to_bind: bool = True) -> None:
    """Look at the form only. Raises ConfigError. `words`: what the key may say instead of an endpoint."""
    if endpoint in words or not (why := _fault(endpoint, to_bind)):
        return
    forms = ["tcp://address:port", "ipc:///path", *(f'"{word}"' for word in words)]
    raise ConfigError(f"{key} = {endpoint!r}: {why}; give {', '.join(forms[:-1])} or {forms[-1]}")


def is_tcp(endpoint: str) -> bool:
    """Whether it is one that another machine might reach."""
    return endpoint.startswith("tcp://")


def is_open(endpoint: str) -> bool:
    """Whether other machines reach what is bound there. The name of a network card may mean any address."""
    match = _TCP.fullmatch(endpoint)
    if match is None:
        return False
    try:
        return not ipaddress.ip_address(match["host"]).is_loopback
    except ValueError:
        return True


def check_keys(key: str, endpoint: str, with_keys: bool) -> None:
    """Raises ConfigError for an address that other machines reach, without keys."""
    if is_open(endpoint) and not with_keys:
        raise ConfigError(
            f"{key} = {endpoint!r}: other machines may reach that address, and there are no keys; bind to 127.0.0.1, "
            "or make keys (python run_pipeline.py keys generate FOLDER) and set security.keys and security.clients"
        )


def bind(socket: Socket, endpoint: str, key: str, *, with_keys: bool = False) -> None:
    """Bind a socket to what that key says. Raises ConfigError, also if somebody listens there already.

    `with_keys`: the socket lets in only whom it knows (pipeline/guard.py).
    """
    check_keys(key, endpoint, with_keys)
    if (match := _IPC.fullmatch(endpoint)) and (why := _unsafe(match["path"]) or _occupied(match["path"])):
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


def reach(socket: Socket, endpoint: str, key: str, keys: curve.Keys | None = None) -> None:
    """Connect a client's socket. Raises ConfigError; `key`: what the client gave, or was told, the endpoint as.

    `keys`: the client's, for endpoints of TCP.
    """
    check(key, endpoint, to_bind=False)
    if keys is not None and is_tcp(endpoint):
        curve.call(socket, keys, keys.server)
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


def unanswered(endpoint: str, timeout_s: float, keys: curve.Keys | None = None) -> OrstateError:
    """The error that nobody answers there, and why, if that can be seen."""
    match = _IPC.fullmatch(endpoint)
    folder = Path(match["path"]).parent if match else None
    if folder is not None and not folder.exists():
        return OrstateError(f"{endpoint}: the folder {folder} does not exist; give the endpoint of a running pipeline")
    about_keys = "does it know our keys, and we its own?" if keys else "does it want keys?"
    return OrstateError(
        f"{endpoint}: nobody answers within {timeout_s:g} s; does the pipeline run?"
        + (f" And {about_keys}" if is_tcp(endpoint) else "")
    )


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


def _unsafe(path: str) -> str:
    """Why others could connect to a socket at that path, or put their own in its place; "" if they cannot.

    A group may be let in: it is for the operator to say who is in it.
    """
    if path.startswith("@"):
        return "every account of this machine may connect to an abstract socket; choose a path in a folder of yours"
    folder = Path(path).absolute().parent
    try:
        status = folder.stat()
    except OSError:  # then ZeroMQ says why not
        return ""
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no folder; choose another"
    if status.st_uid not in (os.getuid(), 0):
        return f"its folder {folder} belongs to another user; choose a folder of yours"
    if status.st_mode & OTHERS_IN:
        return (
            f"its folder {folder} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); choose one of mode 0700"
        )
    return ""


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
