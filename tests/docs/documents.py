"""What README and docs say in fenced blocks: commands, and programs in Python."""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from docs.reference.pages import DOCS, ROOT

PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
_FENCE = re.compile(r"(?:^<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"(?<!`)`((?:run_pipeline\.py|make|orstate) [^`]+)`(?!`)")
_END = {"|", "||", "&&", ";", "&", ">", ">>", "<", ")"}


class Block(NamedTuple):
    """A fenced block. `mark`: what a comment right above it says, such as "run"."""

    where: str
    mark: str
    language: str
    text: str

    @property
    def page(self) -> str:
        """The name of its file."""
        return self.where.partition(":")[0]


class Command(NamedTuple):
    """A command line: `program` is run_pipeline.py, orstate or make."""

    where: str
    program: str
    arguments: tuple[str, ...]


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in these languages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if fence["language"] in languages:
                line = text.count("\n", 0, fence.start("text"))
                found.append(Block(f"{page.name}:{line}", fence["mark"] or "", fence["language"], fence["text"]))
    return found


def commands() -> list[Command]:
    """The command lines of fenced blocks, and those that stand in a sentence."""
    found = [command for block in blocks("sh", "bash", "shell") for command in commands_in(block.text, block.where)]
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        found += [command for code in _INLINE.findall(prose) for command in commands_in(code, page.name)]
    return found


def commands_in(text: str, where: str) -> Iterator[Command]:
    """The command lines of a shell text that call run_pipeline.py, orstate or make."""
    for line in text.replace("\\\n", " ").splitlines():
        if "run_pipeline.py" not in line and not re.search(r"(^|[\s/])(make|orstate)\s", line):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        for at, word in enumerate(words):
            program = word.rpartition("/")[2]
            if program == "run_pipeline.py" or (program in ("make", "orstate") and _begins(words, at)):
                rest = words[at + 1 :]
                end = next((n for n, word in enumerate(rest) if word in _END), len(rest))
                yield Command(where, program, tuple(rest[:end]))


def _begins(words: list[str], at: int) -> bool:
    """Whether a command begins at that word."""
    return all("=" in word for word in words[:at]) or words[at - 1] in _END
