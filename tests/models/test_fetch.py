import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from tiny_gguf import tiny

from models.fetch import ensure, fetch, trim_model
from models.gguf import read
from models.manifest import Manifest, TrimmedSource, find_manifest
from models.store import ModelMissing
from pipeline.errors import OrstateError

Know = Callable[[Manifest], None]

MODULE = """
from pathlib import Path
calls = []
def assemble(path, overwrite=False):
    calls.append(path)
    Path(path).write_bytes({weights!r})
    {then}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes) -> Iterator[Callable[[str], None]]:
    """Makes the package of the `packaged` model importable; `then` is what its assemble() does at last."""

    def write(then: str = "return path", content: bytes = weights) -> None:
        (tmp_path / "tiny_gguf_of_tests.py").write_text(MODULE.format(weights=content, then=then))
        about = tmp_path / "tiny_gguf-1.0.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-gguf\nVersion: 1.0\n")
        (about / "RECORD").write_text("tiny_gguf_of_tests.py,,\n")
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    sys.modules.pop("tiny_gguf_of_tests", None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_packaged_model_is_assembled_once(
    folder: Path, packaged: Manifest, weights: bytes, install: Callable[[], None]
) -> None:
    install()
    assert ensure(packaged).read_bytes() == weights
    assert ensure(packaged) == fetch(packaged) == folder / "tiny.gguf"
    assert len(sys.modules["tiny_gguf_of_tests"].calls) == 1
    assert names(folder) == ["tiny.gguf", "tiny.gguf.lock"]


def test_two_that_ask_at_once_get_one_assembly(folder: Path, packaged: Manifest, install: Callable[[], None]) -> None:
    install()
    barrier = threading.Barrier(4)
    found: list[Path] = []

    def ask() -> None:
        barrier.wait()
        found.append(ensure(packaged))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder / "tiny.gguf"] * 4
    assert len(sys.modules["tiny_gguf_of_tests"].calls) == 1


def test_an_assembly_that_breaks_off_leaves_no_half_file(
    folder: Path, packaged: Manifest, install: Callable[[str], None]
) -> None:
    install("raise OSError('No space left on device')")
    with pytest.raises(OrstateError, match=r"tiny-gguf.*No space left.*make room"):
        ensure(packaged)
    assert names(folder) == ["tiny.gguf.lock"]


def test_what_a_killed_assembly_left_is_cleared_away(
    folder: Path, packaged: Manifest, install: Callable[[], None]
) -> None:
    install()
    (folder / "tiny.gguf.part").mkdir(parents=True)
    (folder / "tiny.gguf.part" / "tiny.gguf").write_bytes(b"GGU")
    ensure(packaged)
    assert names(folder) == ["tiny.gguf", "tiny.gguf.lock"]


def test_a_package_with_other_weights_is_refused(
    folder: Path, packaged: Manifest, weights: bytes, install: Callable[..., None]
) -> None:
    install(content=weights + b"!")
    with pytest.raises(OrstateError, match=f"expected {packaged.sha256}"):
        ensure(packaged)
    assert names(folder) == ["tiny.gguf.lock"]


def test_a_broken_file_is_replaced_when_it_is_fetched_again(
    folder: Path, packaged: Manifest, weights: bytes, install: Callable[[], None]
) -> None:
    install()
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(weights[:100])
    assert fetch(packaged).read_bytes() == weights


@pytest.mark.parametrize("module", ["os", "tiny_gguf_of_tests_too", "pipeline.run"])
def test_a_manifest_cannot_have_code_run_that_is_not_of_its_package(
    folder: Path, packaged: Manifest, install: Callable[[], None], module: str
) -> None:
    install()
    source = msgspec.structs.replace(packaged.source, module=module)  # type: ignore[type-var]
    with pytest.raises(OrstateError, match="package tiny-gguf has no module"):
        fetch(msgspec.structs.replace(packaged, source=source))
    assert names(folder) == ["tiny.gguf.lock"]


def test_a_package_that_is_not_installed_says_how_to_install_it(folder: Path, packaged: Manifest) -> None:
    with pytest.raises(OrstateError, match=r"tiny-gguf is not installed.*pip install 'orstate\[embedded\]'"):
        ensure(packaged)


@pytest.fixture
def know(monkeypatch: pytest.MonkeyPatch) -> Know:
    """Makes a manifest one of those that are found by name."""

    def add(manifest: Manifest) -> None:
        monkeypatch.setattr("models.fetch.find_manifest", {manifest.name: manifest}.__getitem__)

    return add


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """Weights that can be trimmed."""
    return tiny(tmp_path / "whole.gguf").read_bytes()


@pytest.fixture
def original(packaged: Manifest, whole: bytes, install: Callable[..., None], know: Know) -> Manifest:
    """The packaged model, with weights that can be trimmed."""
    install(content=whole)
    manifest = msgspec.structs.replace(packaged, sha256=hashlib.sha256(whole).hexdigest())
    know(manifest)
    return manifest


def test_a_trimmed_model_is_made_of_a_package_and_the_original_does_not_stay(
    folder: Path, smaller: Manifest, original: Manifest
) -> None:
    metadata = read(ensure(smaller)).metadata
    assert metadata["orstate.trim.source_sha256"].text() == original.sha256
    assert names(folder) == ["smaller.gguf", "smaller.gguf.lock"]


def test_an_original_that_is_there_is_used_and_stays(folder: Path, smaller: Manifest, original: Manifest) -> None:
    ensure(original)
    ensure(smaller)
    assert len(sys.modules["tiny_gguf_of_tests"].calls) == 1
    assert {"tiny.gguf", "smaller.gguf"} < set(names(folder))


def test_a_broken_original_is_told_and_nothing_is_made_of_it(
    folder: Path, smaller: Manifest, original: Manifest, whole: bytes
) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(whole + b"!")
    with pytest.raises(OrstateError, match=r"tiny\.gguf: sha256 .* delete it and run: .* models fetch tiny"):
        ensure(smaller)
    assert names(folder) == ["smaller.gguf.lock", "tiny.gguf"]


def test_a_trimmed_file_that_is_not_what_the_manifest_says_is_refused(
    folder: Path, smaller: Manifest, original: Manifest
) -> None:
    with pytest.raises(OrstateError, match=f"expected {'a' * 64}"):
        ensure(msgspec.structs.replace(smaller, sha256="a" * 64))
    assert names(folder) == ["smaller.gguf.lock"]


def test_a_model_is_trimmed_beside_itself_by_its_name(
    folder: Path, original: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, trimmed = trim_model("tiny", lambda done, total: None)
    assert path == folder / "tiny-ascii.gguf"
    assert trimmed.kept < trimmed.tokens
    (folder / "tiny.gguf").write_bytes(path.read_bytes())
    with pytest.raises(OrstateError, match=f"expected {original.sha256}"):
        trim_model("tiny", lambda done, total: None)


def test_ensure_does_not_download(folder: Path, on_hub: Manifest, hub: "Hub") -> None:
    with pytest.raises(ModelMissing, match="models fetch far"):
        ensure(on_hub)
    assert hub.requests == []


def test_a_file_given_by_path_has_nowhere_to_be_fetched_from(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no such file"):
        fetch(find_manifest(str(tmp_path / "gone.gguf")))


class Hub(ThreadingHTTPServer):
    """The part of the hub that serves one file: HEAD and GET of /<repository>/resolve/<revision>/<file>."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.content = content
        self.etag = "0" * 40
        self.requests: list[str] = []


class Answering(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        hub = self.server
        hub.requests.append(f"{self.command} {self.path}")
        found = self.path == "/someone/far-GGUF/resolve/main/far.gguf"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", "c0ffee" + "0" * 34)
        if found:
            self.send_header("ETag", f'"{hub.etag}"')
            self.send_header("Content-Length", str(len(hub.content)))
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()
        if with_body and found:
            self.wfile.write(hub.content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub(weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(weights) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_a_hub_model_is_downloaded_from_the_endpoint_of_the_environment(
    folder: Path, on_hub: Manifest, hub: Hub, weights: bytes
) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(on_hub, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == weights
    assert names(folder) == ["far.gguf", "far.gguf.lock"]
    assert seen[-1] == (len(weights), len(weights))
    assert any(request.startswith("GET ") for request in hub.requests)


def test_a_downloaded_model_is_not_downloaded_again(folder: Path, on_hub: Manifest, hub: Hub) -> None:
    fetch(on_hub)
    hub.requests.clear()
    fetch(on_hub)
    assert hub.requests == []


def test_a_download_is_checked_by_the_sum_that_the_hub_tells(folder: Path, on_hub: Manifest, hub: Hub) -> None:
    hub.etag = "a" * 64
    with pytest.raises(OrstateError, match=f"expected {'a' * 64}"):
        fetch(on_hub)
    assert names(folder) == ["far.gguf.lock"]


def test_a_trimmed_model_is_made_of_a_download_when_it_is_fetched_and_not_before(
    folder: Path, smaller: Manifest, on_hub: Manifest, hub: Hub, whole: bytes, know: Know
) -> None:
    hub.content = whole
    know(msgspec.structs.replace(on_hub, size_gib=len(whole) / 2**30))
    smaller = msgspec.structs.replace(smaller, source=TrimmedSource(model="far"))
    with pytest.raises(ModelMissing, match="models fetch smaller"):
        ensure(smaller)
    assert hub.requests == []
    assert "orstate.trim.notice" in read(fetch(smaller)).metadata
    assert names(folder) == ["smaller.gguf", "smaller.gguf.lock"]


def test_a_download_that_is_there_is_trimmed_without_the_hub(
    folder: Path, smaller: Manifest, on_hub: Manifest, hub: Hub, whole: bytes, know: Know
) -> None:
    know(msgspec.structs.replace(on_hub, size_gib=len(whole) / 2**30))
    folder.mkdir()
    (folder / "far.gguf").write_bytes(whole)
    ensure(msgspec.structs.replace(smaller, source=TrimmedSource(model="far")))
    assert hub.requests == []
    assert {"far.gguf", "smaller.gguf"} < set(names(folder))


def test_a_file_that_the_hub_does_not_have_is_refused_by_name(folder: Path, on_hub: Manifest, hub: Hub) -> None:
    with pytest.raises(OrstateError, match=r"far2\.gguf of someone/far-GGUF.*refused"):
        fetch(msgspec.structs.replace(on_hub, file="far2.gguf"))


def test_a_hub_that_cannot_be_reached_says_what_to_check(
    folder: Path, on_hub: Manifest, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(OrstateError, match=r"127\.0\.0\.1:1.*download failed.*check network, HF_ENDPOINT"):
        fetch(on_hub)
    assert names(folder) == ["far.gguf.lock"]
