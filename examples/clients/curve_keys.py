"""The keys of a client, for endpoints of TCP that want some: the folder that `keys generate --client` made for it."""

from pathlib import Path

import zmq
from zmq.auth import load_certificate


def use_keys(socket: zmq.Socket[bytes], folder: str) -> None:
    """Show our own key, and speak only to the pipeline whose public key is in the folder."""
    socket.curve_publickey, socket.curve_secretkey = load_certificate(Path(folder) / "client.key_secret")
    socket.curve_serverkey, _ = load_certificate(Path(folder) / "server.key")
