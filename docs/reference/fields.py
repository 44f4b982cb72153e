"""The fields of a struct as rows of a table: name, what it may be, default, and what its comment says."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect as types

from pipeline.messages import OUTCOMES

BARE: Final = {
    types.IntType: "integer",
    types.FloatType: "number",
    types.StrType: "text",
    types.BoolType: "true or false",
    types.AnyType: "anything",
    types.NoneType: "null",
}


class Field(NamedTuple):
    """One field. `default` is None if it must be given; `description` is Markdown, "" if there is none."""

    name: str
    type: str
    default: str | None
    description: str


class Undescribed(Exception):
    """A field without a comment."""


def fields_of(struct: type[msgspec.Struct]) -> list[Field]:
    """The fields of a struct, those of its bases too. Raises Undescribed for one that says nothing of itself."""
    described: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if base.__module__.split(".")[0] == "pipeline":
            described |= comments(Path(inspect.getfile(base)), base.__name__)
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    found = [Field(f.name, type_text(f.type), default_of(f), described.get(f.name, "")) for f in info.fields]
    if bare := [field.name for field in found if not field.description]:
        raise Undescribed(
            f"{struct.__module__}.{struct.__name__}.{bare[0]} has no comment; say behind it, or above it, what it is"
        )
    return found


def table(fields: Iterable[Field]) -> list[str]:
    """The rows of a Markdown table."""
    rows = ["| field | type | default | |", "|---|---|---|---|"]
    for field in fields:
        default = "**required**" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{field.name}` | {_cell(field.type)} | {default} | {_cell(field.description)} |")
    return rows


def own_structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    """The structs that a module defines, in its order."""
    found = [v for v in vars(module).values() if inspect.isclass(v) and issubclass(v, msgspec.Struct)]
    return [struct for struct in found if struct.__module__ == module.__name__]


def prose(docstring: str | None) -> str:
    """A docstring as Markdown."""
    return inspect.cleandoc(docstring or "")


@cache
def comments(file: Path, class_name: str) -> dict[str, str]:
    """What the comments of a class say of its fields: the one behind the field, or the lines above it."""
    tree, said, full_lines = _read(file)
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    described = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above: list[str] = []
            line = node.lineno - 1
            while line in full_lines:
                above.insert(0, said[line])
                line -= 1
            behind = [said[line] for line in range(node.lineno, (node.end_lineno or 0) + 1) if line in said]
            described[node.target.id] = " ".join([*above, *behind])
    return described


def choices(file: Path, name: str) -> dict[str, str]:
    """The values of a `Literal[...]` that is assigned to that name, each with the comment behind it."""
    tree, said, _ = _read(file)
    value = next(n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name)
    found = [node for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return {str(node.value): said.get(node.lineno, "") for node in found}


def type_text(kind: types.Type) -> str:
    """What a value may be, in words; a struct is a link to its own heading."""
    match kind:
        case types.Metadata():
            return type_text(kind.type)
        case types.StructType():
            return f"[{kind.cls.__name__}](#{kind.cls.__name__.lower()})"
        case types.LiteralType() if set(kind.values) == set(OUTCOMES):
            return "one of the [outcomes](#outcomes)"
        case types.LiteralType():
            return "one of " + ", ".join(f"`{value}`" if value else '`""`' for value in kind.values)
        case types.UnionType():
            return " or ".join(type_text(part) for part in kind.types)
        case types.DictType():
            return f"map of {type_text(kind.key_type)} to {type_text(kind.value_type)}"
        case types.ListType() | types.VarTupleType():
            return f"list{_bounds(kind, 'entries')} of {type_text(kind.item_type)}"
    bounds = _bounds(kind, "characters") if isinstance(kind, types.StrType) else _range(kind)
    pattern = f", as `{_readable(kind.pattern)}`" if isinstance(kind, types.StrType) and kind.pattern else ""
    return BARE[type(kind)] + bounds + pattern


def _range(kind: Any) -> str:
    low, high = getattr(kind, "ge", None), getattr(kind, "le", None)
    words = [_number(low) if high is not None or low is None else f"at least {_number(low)}", _number(high)]
    if (above := getattr(kind, "gt", None)) is not None:
        words[0] = f"more than {_number(above)}"
    return f", {' to '.join(filter(None, words))}" if any(words) else ""


def _number(bound: float | None) -> str:
    return "" if bound is None else f"{int(bound):,}" if bound == int(bound) else str(bound)


def _bounds(kind: Any, unit: str) -> str:
    least, most = kind.min_length, kind.max_length
    if least is None and most is None:
        return ""
    return f", {f'{least} to ' if least else 'at most '}{most:,} {unit}"


def _readable(pattern: str) -> str:
    return re.sub(r"\\Z$", "$", pattern)


def default_of(field: types.Field) -> str | None:
    if field.default is not msgspec.NODEFAULT:
        return msgspec.json.encode(field.default).decode()
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.json.encode(field.default_factory()).decode()
    return None


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


@cache
def _read(file: Path) -> tuple[ast.Module, dict[int, str], set[int]]:
    """A file's tree, its comments by line, and the lines that have nothing else."""
    source = file.read_text(encoding="utf-8")
    said, alone = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            said[token.start[0]] = token.string.lstrip("# ").rstrip()
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    return ast.parse(source), said, alone
