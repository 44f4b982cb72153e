"""What becomes of a page when it is built: files of the project, which the pages do not have, and pictures.

A hook of mkdocs. The pages are written for reading in the project's folder too: links lead to its files, and pictures
are files. In the built pages

- a link to a file outside docs/ becomes its path; alone in a paragraph, it becomes what is in the file;
- a picture in SVG stands in the page itself, where it takes the page's colours.

A link to a file that is not there is a warning, which `mkdocs build --strict` counts as a failure.
"""

import logging
import re
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
LANGUAGES: Final = {
    ".c": "c",
    ".h": "c",
    ".js": "javascript",
    ".json": "json",
    ".jsonl": "json",
    ".py": "python",
    ".toml": "toml",
}
_log = logging.getLogger("mkdocs.hooks.pages")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+|[\w-]+\.service)\)")
_LINK_ALONE = re.compile(rf"(?<=\n\n){_LINK.pattern}(?=\n\n|\n?\Z)")
_PICTURE = re.compile(r'<img alt="([^"]*)" src="([^":]+\.svg)" ?/?>')


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links that lead out of docs/ become paths, or what is there. Code is left as it is."""
    parts = _FENCE.split(markdown)  # text, code, text, ...
    for number in range(0, len(parts), 2):
        whole = _LINK_ALONE.sub(partial(_content, page.file.src_uri), parts[number])
        texts = _FENCE.split(whole)
        texts[::2] = [_LINK.sub(partial(_path, page.file.src_uri), text) for text in texts[::2]]
        parts[number] = "".join(texts)
    return "".join(parts)


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Pictures stand in the page."""
    folder = (DOCS / page.file.src_uri).parent
    return _PICTURE.sub(lambda found: _picture(folder / found[2], found[1]), html)


def _content(origin: str, link: re.Match[str]) -> str:
    file = _target(origin, link[2])
    if not file.is_file():
        return link[0]
    return f'```{LANGUAGES.get(file.suffix, "")} title="{file.relative_to(ROOT)}"\n{file.read_text().rstrip()}\n```'


def _path(origin: str, link: re.Match[str]) -> str:
    target = _target(origin, link[2])
    path = str(target.relative_to(ROOT)) + ("/" if target.is_dir() else "")
    return f"`{path}`" if link[1].strip("`") in path else f"{link[1]} (`{path}`)"


def _target(origin: str, path: str) -> Path:
    target = ((DOCS / origin).parent / path).resolve()
    if not target.exists():
        _log.warning("%s: %s is not in the project", origin, path)
    return target


def _picture(file: Path, alt: str) -> str:
    return file.read_text().strip().replace("<svg ", f'<svg class="picture" role="img" aria-label="{alt}" ', 1)
