"""Endpoints: what is one, and what a person is told when one cannot be used."""

import re
import socket
from pathlib import Path

import pytest
import zmq
from queue_hop import await_readable

from pipeline.check import findings
from pipeline.config import Config, Egress, Ingress, Run
from pipeline.endpoints import MAX_IPC_PATH, bind, check, connect, seen_from
from pipeline.errors import ConfigError
from pipeline.sockets import Context, make_socket

LONGEST = "ipc:///" + "x" * (MAX_IPC_PATH - 1)
FORMS = "give tcp://address:port or ipc:///path"


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:1",
        "tcp://*:65535",
        "tcp://eth0:5555",
        "ipc:///tmp/a b",
        "ipc://relative",
        "ipc://@abstract",
        LONGEST,
    ],
)
def test_an_address_of_a_known_transport_is_an_endpoint_to_bind(endpoint: str) -> None:
    check("ingress.bind", endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://publisher.lan:5555", "tcp://10.0.0.7:5555", "ipc:///tmp/publisher"])
def test_an_address_of_a_known_transport_is_an_endpoint_to_connect_to(endpoint: str) -> None:
    check("ingress.connect", endpoint, to_bind=False)


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("", "it names no transport"),
        ("localhost:5555", "it names no transport"),
        ("udp://127.0.0.1:5555", "udp:// is no transport"),
        ("inproc://a", "inproc:// is no transport"),
        ("://x", ":// is no transport"),
        ("tcp://", "tcp:// needs an address and a port from 1 to 65535"),
        ("tcp://127.0.0.1", "tcp:// needs"),
        ("tcp://:5555", "tcp:// needs"),
        ("tcp://127.0.0.1:0", "tcp:// needs"),
        ("tcp://127.0.0.1:*", "tcp:// needs"),
        ("tcp://127.0.0.1:70000", "tcp:// needs"),
        ("tcp://127.0.0.1:80 ", "tcp:// needs"),
        ("tcp://[::1]:5555", "tcp:// needs"),
        ("ipc://", "ipc:// needs a path of 1 to 107 bytes"),
        ("ipc://*", "ipc:// needs"),
        ("ipc:///a\0b", "ipc:// needs"),
        (LONGEST + "x", "ipc:// needs"),
    ],
)
def test_what_is_no_endpoint_is_named_with_its_key_the_reason_and_what_to_give(endpoint: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("ingress.bind", endpoint)
    assert str(caught.value).startswith(f"ingress.bind = {endpoint!r}: {why}")
    assert str(caught.value).endswith(FORMS)


def test_nobody_can_connect_to_all_addresses() -> None:
    with pytest.raises(ConfigError, match=r"needs an address other than \*"):
        check("ingress.connect", "tcp://*:5555", to_bind=False)


def test_the_words_of_a_key_are_taken_and_told() -> None:
    for word in ("ipc", ""):
        check("ingress.bind", word, words=("ipc", ""))
    with pytest.raises(ConfigError, match=r'give tcp://address:port, ipc:///path or "ipc"$'):
        check("egress.states", "", words=("ipc",))


def test_an_address_in_use_is_told_with_what_to_do(context: Context, short_dir: Path) -> None:
    first = make_socket(context, zmq.ROUTER)
    port = first.bind_to_random_port("tcp://127.0.0.1")
    first.bind(f"ipc://{short_dir}/taken")
    for endpoint in (f"tcp://127.0.0.1:{port}", f"ipc://{short_dir}/taken"):
        with pytest.raises(ConfigError) as caught:
            bind(make_socket(context, zmq.ROUTER), endpoint, "ingress.requests")
        assert str(caught.value) == (
            f"ingress.requests = {endpoint!r}: cannot be bound: Address already in use; "
            "stop what listens there, or choose another"
        )
    client = make_socket(context, zmq.DEALER)
    client.connect(f"ipc://{short_dir}/taken")
    client.send(b"still there")
    await_readable(first)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("tcp://203.0.113.7:5555", "choose an address of this machine"),
        ("tcp://no-such-card:5555", "choose an address of this machine"),
        ("ipc:///nowhere/at/all", "No such file or directory; make its folder"),
        ("ipc:///dev/null/x", "choose another"),
    ],
)
def test_an_address_that_is_not_here_is_told_with_what_to_do(context: Context, endpoint: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bind(make_socket(context, zmq.XPUB), endpoint, "egress.states", with_keys=True)
    assert str(caught.value).startswith(f"egress.states = {endpoint!r}: cannot be bound: ")
    assert told in str(caught.value)


def test_a_file_in_the_place_of_a_socket_is_left_alone(context: Context, short_dir: Path) -> None:
    (short_dir / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="binding would remove it"):
        bind(make_socket(context, zmq.XPUB), f"ipc://{short_dir}/notes", "egress.states")
    assert (short_dir / "notes").read_text() == "mine"


def test_the_socket_that_a_killed_process_left_is_bound_again(context: Context, short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(short_dir / "left"))
    assert (short_dir / "left").is_socket()
    server, client = make_socket(context, zmq.ROUTER), make_socket(context, zmq.DEALER)
    bind(server, f"ipc://{short_dir}/left", "ingress.requests")
    connect(client, f"ipc://{short_dir}/left", "ingress.connect")
    client.send(b"hello")
    await_readable(server)


def test_what_zeromq_refuses_to_connect_to_is_told_with_its_key(context: Context) -> None:
    with pytest.raises(ConfigError, match=r"ingress.connect = 'tcp://x': cannot be connected to: Invalid argument"):
        connect(make_socket(context, zmq.SUB), "tcp://x", "ingress.connect")


@pytest.mark.parametrize(
    ("by", "endpoint", "there"),
    [
        ("tcp://room.lan:5000", "tcp://*:5001", "tcp://room.lan:5001"),
        ("tcp://10.0.0.7:5000", "tcp://0.0.0.0:5001", "tcp://10.0.0.7:5001"),
        ("ipc:///tmp/requests", "tcp://*:5001", "tcp://127.0.0.1:5001"),
        ("", "tcp://*:5001", "tcp://127.0.0.1:5001"),
        ("tcp://room.lan:5000", "tcp://10.0.0.8:5001", "tcp://10.0.0.8:5001"),
        ("tcp://room.lan:5000", "ipc:///tmp/states", "ipc:///tmp/states"),
    ],
)
def test_what_is_bound_to_all_addresses_is_found_where_its_process_was(by: str, endpoint: str, there: str) -> None:
    assert seen_from(by, endpoint) == there


def test_check_finds_what_a_start_would_find(context: Context, short_dir: Path) -> None:
    taken = make_socket(context, zmq.SUB)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    config = Config(
        run=Run(directory=str(short_dir / "run"), journal=""),
        ingress=Ingress(
            bind=f"tcp://127.0.0.1:{port}", requests=f"ipc://{short_dir}/one", connect=("tcp://127.0.0.1:9",)
        ),
        egress=Egress(states=f"ipc://{short_dir}/one"),
    )
    found = [finding for finding in findings(config) if finding.what == "endpoint"]
    assert [finding.ok for finding in found] == [False, True, False, True]
    assert found[0].detail.startswith(f"ingress.bind = 'tcp://127.0.0.1:{port}': cannot be bound: Address already")
    assert found[2].detail.startswith(f"egress.states = 'ipc://{short_dir}/one': cannot be bound: Address already")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.4.5"])
def test_without_keys_loopback_can_be_bound(context: Context, host: str) -> None:
    socket = make_socket(context, zmq.ROUTER)
    with socket_of(host) as free:
        port = free.getsockname()[1]
    bind(socket, f"tcp://{host}:{port}", "ingress.requests")


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "10.0.0.7", "eth0", "lo", "localhost", "127.0.0.1.example"])
def test_without_keys_nothing_else_is_bound_and_the_error_says_how_to_make_some(context: Context, host: str) -> None:
    with pytest.raises(ConfigError, match=rf"^egress.states = 'tcp://{re.escape(host)}:5556': .* keys generate"):
        bind(make_socket(context, zmq.XPUB), f"tcp://{host}:5556", "egress.states")


@pytest.mark.parametrize("mode", [0o701, 0o704, 0o702, 0o720, 0o755, 0o777, 0o1777])
def test_an_ipc_endpoint_in_a_folder_that_is_open_to_others_is_not_bound(
    context: Context, short_dir: Path, mode: int
) -> None:
    short_dir.chmod(mode)
    with pytest.raises(ConfigError, match=rf"egress.states = .* open to others \(mode {mode:04o}\)"):
        bind(make_socket(context, zmq.XPUB), f"ipc://{short_dir}/x", "egress.states")
    assert not list(short_dir.iterdir())


@pytest.mark.parametrize("mode", [0o700, 0o750])
def test_an_ipc_endpoint_in_a_folder_of_ours_or_of_our_group_is_bound(
    context: Context, short_dir: Path, mode: int
) -> None:
    short_dir.chmod(mode)
    bind(make_socket(context, zmq.XPUB), f"ipc://{short_dir}/x", "egress.states")
    assert (short_dir / "x").is_socket()


def test_an_abstract_socket_which_no_folder_protects_is_not_bound(context: Context) -> None:
    with pytest.raises(ConfigError, match="every account of this machine"):
        bind(make_socket(context, zmq.XPUB), "ipc://@abstract", "egress.states")


def socket_of(host: str) -> socket.socket:
    return socket.create_server((host, 0))
