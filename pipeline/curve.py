"""CURVE keys: who we are, whom we know, and sockets that use them. In all processes that speak TCP, and in clients.

A folder of keys, as `keys generate` makes it (pipeline/keys.py), has one pair of its own, `NAME.key_secret`, and the
pipeline's public key, `server.key`. The files are those of pyzmq and czmq: other programs can read and make them.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.auth import load_certificate
from zmq.utils import z85

from pipeline.errors import ConfigError
from pipeline.sockets import Socket

SERVER: Final = "server"  # the name of the pipeline's own pair
DOMAIN: Final = b"orstate"  # that of ZAP: named, or ZeroMQ would let in everybody if nobody answered for it
OTHERS: Final = 0o077
OTHERS_WRITE: Final = 0o022


class Keys(NamedTuple):
    """Our own pair, and the public key of the pipeline, each in Z85 (40 characters)."""

    public: bytes
    secret: bytes
    server: bytes


def need_curve() -> None:
    """Raises ConfigError if this machine's ZeroMQ was built without CURVE."""
    if not zmq.has("curve"):
        raise ConfigError(
            f"ZeroMQ {zmq.zmq_version()} has no CURVE here, which keys need: "
            "install pyzmq's own wheel (pip install --force-reinstall pyzmq), or bind to ipc and loopback without keys"
        )


def load_keys(folder: Path, key: str) -> Keys:
    """The keys of a folder. Raises ConfigError; `key`: what named the folder."""
    need_curve()
    secrets = sorted(folder.glob("*.key_secret"))
    if len(secrets) != 1:
        found = "none" if not secrets else " and ".join(path.name for path in secrets[:2])
        raise ConfigError(
            f"{key} = {str(folder)!r}: must have one *.key_secret in it, has {found}; "
            f"make keys with: python run_pipeline.py keys generate {folder}"
        )
    if (mode := stat.S_IMODE(secrets[0].stat().st_mode)) & OTHERS:
        raise ConfigError(f"{secrets[0]}: has mode {mode:04o}, so others can read the key; run: chmod 600 {secrets[0]}")
    public, secret = _load(secrets[0], key)
    if not secret or not _is_key(secret) or zmq.curve_public(secret) != public:
        raise ConfigError(f"{secrets[0]}: its secret-key is not that of its public-key; make the pair anew")
    return Keys(public, secret, load_public(folder / f"{SERVER}.key", key))


def load_public(path: Path, key: str) -> bytes:
    """The public key of a file. Raises ConfigError; `key`: what named the file."""
    return _load(path, key)[0]


class Allowed:
    """Whom we let in: the public keys of a folder, `*.key`, and our own, whose holder has the pipeline anyway.

    The folder is read for each handshake: who is added or taken out counts from the next connection on.
    """

    def __init__(self, folder: Path, own: bytes, key: str) -> None:
        """Raises ConfigError for a folder or file that cannot be used."""
        self._folder, self._own, self._key = folder, own, key
        self._warned: set[str] = set()
        if not folder.is_dir():
            raise ConfigError(
                f"{key} = {str(folder)!r}: there is no such folder; give that of the allowed clients' public keys, "
                "such as the folder clients that `keys generate` makes"
            )
        status = folder.stat()
        if status.st_mode & OTHERS_WRITE or status.st_uid not in (os.getuid(), 0):
            raise ConfigError(f"{key} = {str(folder)!r}: others can add keys to it; run: chmod 700 {folder}")
        self.count = sum(1 for path in folder.glob("*.key") if load_public(path, key))

    def callback(self, _domain: str, public: bytes) -> bool:
        """Whether the holder of that key is let in; as zmq.auth asks."""
        try:
            return public == self._own or any(public == known for known in self._known())
        except OSError as error:  # the folder cannot be read: nobody is known
            print(f"warning: {self._folder}: {error.strerror}; nobody is let in", file=sys.stderr, flush=True)
            return False

    def _known(self) -> Iterator[bytes]:
        for path in self._folder.glob("*.key"):  # none, if the folder is gone
            try:
                yield load_public(path, self._key)
            except ConfigError as error:
                if str(error) not in self._warned:
                    self._warned.add(str(error))
                    print(f"warning: {error}; its holder is not let in", file=sys.stderr, flush=True)


def serve(socket: Socket, keys: Keys) -> None:
    """What is bound from now on lets in only those whom the authenticator of its context knows."""
    _own(socket, keys)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an authenticator nobody is let in


def call(socket: Socket, keys: Keys, server: bytes) -> None:
    """What is connected from now on speaks only to the holder of the key `server`."""
    _own(socket, keys)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server)


def call_plainly(socket: Socket) -> None:
    """What is connected from now on uses no keys."""
    socket.setsockopt(zmq.CURVE_SERVER, 0)


def _own(socket: Socket, keys: Keys) -> None:
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)


def _load(path: Path, key: str) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: {path}: cannot be read as a key: {error}") from error
    if not _is_key(public):
        raise ConfigError(f"{key}: {path}: its public-key is no key of 40 characters (Z85)")
    return public, secret


def _is_key(text: bytes) -> bool:
    try:
        return len(text) == 40 and len(z85.decode(text)) == 32
    except (ValueError, KeyError, IndexError):
        return False
