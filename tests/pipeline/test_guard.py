"""The guard of one process, alone: what it does when it cannot do its work."""

import multiprocessing
from pathlib import Path

import pytest
import zmq
from loopback import addresses

from pipeline import guard
from pipeline.config import Security
from pipeline.errors import ConfigError
from pipeline.guard import GUARD_FAILED, Guard
from pipeline.keys import generate
from pipeline.sockets import Context, Socket, make_socket

WAIT_S = 60.0


def security(folder: Path) -> Security:
    generate(folder / "keys", [])
    return Security(keys=str(folder / "keys"), clients=str(folder / "keys" / "clients"))


def fail(told: list[bytes]) -> None:
    raise RuntimeError("broken")


def guarded_by_a_broken_one(folder: str) -> None:
    """What a process does whose guard fails: a stranger comes."""
    guard.parse_monitor_message = fail  # type: ignore[assignment]
    context = zmq.Context[Socket]()
    ours = Guard(security(Path(folder)), context)
    router, stranger = make_socket(context, zmq.ROUTER), make_socket(context, zmq.DEALER)
    [endpoint] = addresses(1)
    ours.bind(router, endpoint, "ingress.requests")
    ours.start()
    stranger.connect(endpoint)
    assert ours._thread is not None
    ours._thread.join()


def test_a_process_whose_guard_fails_ends_and_does_not_stand_open(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=guarded_by_a_broken_one, args=(str(tmp_path),))
    child.start()
    child.join(WAIT_S)
    assert child.exitcode == GUARD_FAILED
    child.close()


def test_without_its_thread_nobody_is_let_in_and_closing_twice_is_no_error(context: Context, tmp_path: Path) -> None:
    ours = Guard(security(tmp_path), context)
    router = make_socket(context, zmq.ROUTER)
    router.setsockopt(zmq.HANDSHAKE_IVL, 300)
    [endpoint] = addresses(1)
    ours.bind(router, endpoint, "ingress.requests")
    ours.close()
    ours.close()
    keys = guard.curve.load_keys(tmp_path / "keys", "keys")
    client = make_socket(context, zmq.DEALER)
    guard.curve.call(client, keys, keys.server)
    watch = client.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    client.connect(endpoint)
    assert watch.poll(1000 * WAIT_S)
    assert zmq.utils.monitor.parse_monitor_message(watch.recv_multipart())["event"] == zmq.EVENT_DISCONNECTED
    client.send(b"x")
    assert not router.poll(200)


def test_an_ipc_endpoint_needs_no_keys_and_is_not_counted(context: Context, tmp_path: Path, short_dir: Path) -> None:
    with Guard(security(tmp_path), context) as ours:
        router, client = make_socket(context, zmq.ROUTER), make_socket(context, zmq.DEALER)
        ours.bind(router, f"ipc://{short_dir}/requests", "ingress.requests")
        ours.start()
        client.connect(f"ipc://{short_dir}/requests")
        client.send(b"hello")
        assert router.recv_multipart()[1] == b"hello"
        assert ours.counters() == {}


def test_a_guard_without_keys_opens_nothing_to_others(context: Context) -> None:
    with Guard(Security(), context) as ours, pytest.raises(ConfigError, match="there are no keys"):
        ours.bind(make_socket(context, zmq.XPUB), "tcp://*:5556", "egress.states")
