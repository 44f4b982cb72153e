"""Keys: how they are made, and what is said of those that cannot be used."""

import os
import shutil
import stat
from pathlib import Path

import pytest
import zmq

from pipeline import curve
from pipeline.check import findings
from pipeline.config import Config, Ingress, Run, Security, load_config
from pipeline.curve import Allowed, load_keys
from pipeline.errors import ConfigError, OrstateError
from pipeline.keys import generate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate(tmp_path / "keys", ["camera", "screen"])
    return tmp_path / "keys"


def test_only_its_owner_can_use_what_is_made_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        generate(tmp_path / "keys", ["camera"])
    finally:
        os.umask(before)
    made = [tmp_path / "keys", *(tmp_path / "keys").rglob("*")]
    modes = (
        {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()},
        {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()},
    )
    assert modes == ({0o700}, {0o600})
    assert len(made) == 10


def test_a_client_and_the_pipeline_know_each_other(folder: Path) -> None:
    ours, camera = load_keys(folder, "security.keys"), load_keys(folder / "given" / "camera", "keys")
    assert camera.server == ours.server == ours.public
    assert len({ours.public, ours.secret, camera.public, camera.secret}) == 4
    allowed = Allowed(folder / "clients", ours.public, "security.clients")
    assert allowed.count == 2
    assert allowed.callback("orstate", camera.public)
    assert allowed.callback("orstate", ours.public)
    assert not allowed.callback("orstate", zmq.curve_keypair()[0])


def test_a_file_that_comes_or_goes_counts_at_once_and_a_broken_one_lets_nobody_in(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    camera = load_keys(folder / "given" / "camera", "keys").public
    allowed = Allowed(folder / "clients", b"", "security.clients")
    (folder / "clients" / "camera.key").unlink()
    assert not allowed.callback("", camera)
    generate(folder, ["probe"])
    (folder / "clients" / "broken.key").write_text("public-key = 'no'\n")
    assert allowed.callback("", load_keys(folder / "given" / "probe", "keys").public)
    assert not allowed.callback("", zmq.curve_keypair()[0])
    assert not allowed.callback("", zmq.curve_keypair()[0])
    assert capfd.readouterr().err.count("its holder is not let in") == 1
    shutil.rmtree(folder / "clients")
    assert not allowed.callback("", load_keys(folder / "given" / "probe", "keys").public)


def test_keys_that_are_there_are_not_made_anew(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(OrstateError, match="--client NAME"):
        generate(folder, [])
    with pytest.raises(OrstateError, match="client camera has keys already"):
        generate(folder, ["new", "camera"])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/etc", ".hidden", "a b", "x" * 65, "a\n", "-x"])
def test_a_clients_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--client"):
        generate(tmp_path / "keys", [name])
    assert not list(tmp_path.iterdir())


def test_keys_are_not_made_in_a_folder_that_is_open_to_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        generate(tmp_path / "open", [])


def no_keys(folder: Path) -> None:
    (folder / "server.key_secret").unlink()


def two_pairs(folder: Path) -> None:
    shutil.copy(folder / "server.key_secret", folder / "old.key_secret")


def readable(folder: Path) -> None:
    (folder / "server.key_secret").chmod(0o640)


def of_another(folder: Path) -> None:
    secret = load_keys(folder / "given" / "camera", "").secret.decode()
    ours = load_keys(folder, "").secret.decode()
    path = folder / "server.key_secret"
    path.write_text(path.read_text().replace(ours, secret))


def cut(folder: Path) -> None:
    path = folder / "server.key_secret"
    path.write_text(path.read_text().replace('secret-key = "', 'secret-key = "x'))


def no_server(folder: Path) -> None:
    (folder / "server.key").unlink()


def rubbish(folder: Path) -> None:
    (folder / "server.key").write_bytes(b"\xff\x00rubbish")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (no_keys, "has none; make keys with: python run_pipeline.py keys generate"),
        (two_pairs, "has old.key_secret and server.key_secret"),
        (readable, "mode 0640, so others can read the key; run: chmod 600"),
        (of_another, "is not that of its public-key"),
        (cut, "is not that of its public-key"),
        (no_server, "server.key: cannot be read as a key"),
        (rubbish, "server.key: cannot be read as a key"),
    ],
)
def test_keys_that_cannot_be_used_are_told_with_the_reason(folder: Path, harm: object, told: str) -> None:
    harm(folder)  # type: ignore[operator]
    with pytest.raises(ConfigError) as caught:
        load_keys(folder, "security.keys")
    assert told in str(caught.value)


def test_a_list_of_clients_to_which_others_can_add_is_not_used(folder: Path) -> None:
    (folder / "clients").chmod(0o777)
    with pytest.raises(ConfigError, match="others can add keys to it"):
        Allowed(folder / "clients", b"", "security.clients")
    with pytest.raises(ConfigError, match="there is no such folder"):
        Allowed(folder / "nowhere", b"", "security.clients")


def test_without_curve_in_zeromq_it_is_said_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda what: what != "curve")
    for use in (lambda: load_keys(folder, "security.keys"), lambda: generate(folder, ["x"])):
        with pytest.raises(ConfigError, match="has no CURVE here"):
            use()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["security.keys=/k"], "security.clients = '': nobody could connect"),
        (["security.clients=/k"], "security.keys = '': security.clients needs keys"),
        (["security.publishers={'tcp://a:1'='k'}"], "security.keys = '': security.publishers needs keys"),
        (
            ["security.keys=/k", "security.clients=/c", "security.publishers={'tcp://a:1'='k'}"],
            "security.publishers has 'tcp://a:1', which is not in ingress.connect",
        ),
        (["ingress.bind=tcp://*:1"], "ingress.bind = 'tcp://*:1': other machines may reach"),
        (["ingress.requests=tcp://10.0.0.1:1"], "ingress.requests = "),
    ],
)
def test_sections_that_do_not_fit_together_are_told(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, settings)
    assert told in str(caught.value)


def test_settings_that_fit_together_only_at_the_end_are_taken() -> None:
    config = load_config(None, ["egress.states=tcp://*:1", "security.keys=/k", "security.clients=/c"])
    assert config.security == Security(keys="/k", clients="/c")


def test_check_says_whether_keys_are_right(folder: Path, short_dir: Path) -> None:
    publisher = "tcp://127.0.0.1:9"
    security = Security(
        keys=str(folder), clients=str(folder / "clients"), publishers={publisher: str(folder / "server.key")}
    )
    config = Config(
        run=Run(directory=str(short_dir / "run"), journal=""),
        ingress=Ingress(connect=(publisher, "tcp://203.0.113.7:9")),
        security=security,
    )
    found = {finding.what: finding for finding in findings(config)}
    assert found["keys"].ok
    assert found["keys"].detail == f"{folder}: right; 2 clients are allowed, 1 publishers known"
    endpoints = [finding.detail for finding in findings(config) if finding.what == "endpoint"]
    assert ["neither encrypted" in detail for detail in endpoints] == [False, True]
    (folder / "server.key_secret").chmod(0o644)
    told = list(findings(config))
    assert [finding.what for finding in told if not finding.ok] == ["keys"]
    assert curve.SERVER in next(finding for finding in told if not finding.ok).detail
