"""Who is let in to the page, and what other sites' pages cannot do."""

from pathlib import Path

import pytest

from pipeline.config import PageSection
from pipeline.errors import ConfigError
from pipeline.page.access import load_token, read_address
from pipeline.page.serve import Settings


@pytest.mark.parametrize("listen", ["", "8080", "127.0.0.1", "127.0.0.1:99999", "http://a:1", "a b:80", "::1:80"])
def test_an_address_that_is_none_is_told(listen: str) -> None:
    with pytest.raises(ConfigError, match="give it as address:port"):
        read_address(listen)


def test_an_address_of_either_kind_is_taken() -> None:
    assert read_address("[::1]:80") == ("::1", 80)
    assert read_address("localhost:0") == ("localhost", 0)


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "10.0.0.1:8080", "[::]:8080", "or-screen:8080"])
def test_other_machines_are_not_let_in_without_a_token(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"set page\.token"):
        Settings(PageSection(listen=listen))


def test_a_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = load_token(file)
    assert len(token) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_token(file) == token
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_token(file)


def test_a_token_that_is_soon_guessed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="has 6 characters"):
        load_token(file)


def test_a_certificate_comes_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="belong together"):
        Settings(PageSection(listen="127.0.0.1:0", certificate=str(tmp_path / "cert.pem")))
    (tmp_path / "key.pem").write_text("no key")
    for name, why in (("cert.pem", "No such file"), ("key.pem", "give PEM files")):
        files = {"certificate": str(tmp_path / name), "key": str(tmp_path / "key.pem")}
        with pytest.raises(ConfigError, match=rf"page\.certificate .*{name} .*: cannot be used: .*{why}"):
            Settings(PageSection(listen="127.0.0.1:0", **files))


def test_an_address_that_is_taken_is_told() -> None:
    settings = Settings(PageSection(listen="127.0.0.1:0"))
    with settings.bind() as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: cannot be bound: Address already in use"):
            Settings(PageSection(listen=f"127.0.0.1:{port}")).bind()
