"""docs/configuration.md: every key of the configuration, made from its structs and configs/pipeline.toml's comments."""

import re
from typing import Final

import msgspec
from msgspec import inspect as types

from docs.reference.fields import Field, Undescribed, default_of, prose, table, type_text
from pipeline.config import DEFAULT_FILE, Config

HEAD: Final = """\
# Configuration

<!-- Made by `python -m docs.reference` from pipeline/config.py and configs/pipeline.toml: change those, not this. -->

[configs/pipeline.toml](../configs/pipeline.toml) has every key with its default. `--config FILE` takes another file,
which names only what it changes; `--set section.key=value` changes one key, and may be given again. A wrong key or
value ends the start with exit code 2, and the message names file and key. `check` says what would fail on this
machine.
"""
_TABLE = re.compile(r"^\[(\w+)\]")
_KEY = re.compile(r"^(\w+) = .*?(?:\s#\s(.*))?$")


def page() -> str:
    """The page as Markdown. Raises Undescribed for a key that no comment describes."""
    said = comments(DEFAULT_FILE.read_text(encoding="utf-8"))
    lines = [HEAD]
    for section in msgspec.structs.fields(Config):
        info = types.type_info(section.type)
        assert isinstance(info, types.StructType)
        rows = [
            Field(f.name, type_text(f.type), default_of(f), said.get((section.name, f.name), "")) for f in info.fields
        ]
        if bare := [row.name for row in rows if not row.description]:
            raise Undescribed(f"{DEFAULT_FILE.name}: {section.name}.{bare[0]} has no comment; say behind it what it is")
        lines += [f"## {section.name}", "", prose(section.type.__doc__), "", *table(rows), ""]
    return "\n".join(lines)


def comments(toml: str) -> dict[tuple[str, str], str]:
    """What the comments of the file say, by section and key."""
    found, section = {}, ""
    for line in toml.splitlines():
        if heading := _TABLE.match(line):
            section = heading[1]
        elif key := _KEY.match(line):
            found[section, key[1]] = (key[2] or "").strip()
    return found
