"""The pages are built without a warning, and whoever reads them asks no other host for anything."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from docs.reference import pages
from docs.reference.pages import DOCS, ROOT

OUTSIDE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
FETCHED = {"src", "srcset", "poster", "data", "action", "formaction", "xlink:href"}
NOT_FETCHED = {"canonical", "next", "prev", "alternate"}
IN_CSS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stderr
    return folder


class Fetches(HTMLParser):
    """What a browser fetches for a page, and the classes of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.classes: set[str] = set()
        self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self._in_style = tag == "style"
        self.classes |= {*given.get("class", "").split()} | {*given.get("data-md-component", "").split()}
        self.found += [value for name, value in given.items() if name in FETCHED]
        if tag == "link" and given.get("rel") not in NOT_FETCHED:
            self.found.append(given.get("href", ""))
        self.found += css_of(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        self.found += css_of(data) if self._in_style else []
        self._in_style = False


def css_of(text: str) -> list[str]:
    return [found[1] or found[2] for found in IN_CSS.finditer(text)]


def outside(found: list[str]) -> list[str]:
    return [address for address in found if OUTSIDE.match(address.strip())]


def test_every_page_is_built_with_what_is_written_on_it(site: Path) -> None:
    names = {path.stem for path in DOCS.glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} - {"404"} == names
    for name in names:
        assert "<h1" in (site / f"{name}.html").read_text(), name


def test_no_page_fetches_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Fetches(path.read_text(encoding="utf-8"))
        assert len(page.found) > 3, path.name
        assert outside(page.found) == [], path.name
        # the theme's script would load a drawing library from a CDN, and figures of the repository from its host
        assert not {"mermaid", "source"} & page.classes, path.name
    for path in site.rglob("*.css"):
        assert outside(css_of(path.read_text(encoding="utf-8"))) == [], path.name


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<style>@import "https://fonts.example/a.css";</style>',
        '<p style="background: url(http://a.example/b.png)">',
        '<svg><image xlink:href="https://a.example/b.png"/></svg>',
    ],
)
def test_a_fetch_from_another_host_would_be_found(page: str) -> None:
    assert len(outside(Fetches(page).found)) == 1


def shown(markdown: str, origin: str = "design.md") -> str:
    return pages.on_page_markdown(markdown, page=SimpleNamespace(file=SimpleNamespace(src_uri=origin)))


def test_a_link_to_a_file_of_the_project_becomes_its_path() -> None:
    assert shown("see [pipeline/ring.py](../pipeline/ring.py).") == "see `pipeline/ring.py`."
    assert shown("the [examples](../examples/clients/) here") == "the `examples/clients/` here"
    assert shown("the [contract](../pyproject.toml)") == "the contract (`pyproject.toml`)"
    assert shown("[engine](engine.md)") == "[engine](engine.md)"


def test_a_link_alone_becomes_what_is_in_the_file() -> None:
    text = shown("Before.\n\n[gone](../examples/clients/curve_keys.py)\n\nBehind [it](../LICENSE).")
    assert text.startswith('Before.\n\n```python title="examples/clients/curve_keys.py"\n"""')
    assert text.endswith("```\n\nBehind it (`LICENSE`).")


def test_code_is_left_as_it_is() -> None:
    code = "```md\n[x](../nothing.py)\n```"
    assert shown(code) == code


def test_a_link_to_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    shown("[x](../nothing.py)")
    assert "nothing.py is not in the project" in caplog.text
