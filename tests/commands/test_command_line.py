"""Each command of the tree: its help ends with examples, and wrong use of it is one line with what to do."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from commands.line import examples, walk
from pipeline.config import ROOT
from run_pipeline import app

TREE = dict(walk(typer.main.get_command(app)))
LEAVES = {path: command for path, command in TREE.items() if not hasattr(command, "commands")}
OURS = {path: [param for param in command.params if param.name != "help"] for path, command in LEAVES.items()}


class Said(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Give arguments to a command line that does nothing once they are read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/orstate"])
    root = typer.main.get_command(app)
    for _, command in walk(root):
        command.callback = lambda **_: None

    def called(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            root.main(list(arguments), "orstate")
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, said.out, said.err)

    return called


def right(path: tuple[str, ...], tmp_path: Path) -> list[str]:
    """Arguments that a command cannot do without."""
    file = tmp_path / "there"
    file.touch()
    given = []
    for param in OURS[path]:
        if param.required:
            given += [*(param.opts[:1] if param.param_type_name == "option" else ()), str(file)]
    return given


def wrong(param: Any) -> str:
    """A value that the parameter cannot have; "" if there is none that typer could know."""
    kind = param.type_descriptor
    if kind.is_path or "Path" in str(kind.annotation):
        return "/nowhere/none" if kind.parameter_info.exists else ""
    return "nothing-such" if kind.is_choice or re.search("int|float", str(kind.annotation)) else ""


CAN_BE_WRONG = [(path, param) for path, params in OURS.items() for param in params if wrong(param)]


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_a_help_ends_with_examples_that_are_right(path: tuple[str, ...], call: Callable[..., Said]) -> None:
    shown = examples(TREE[path])
    assert shown, f"{' '.join(path)}: the docstring has no examples"
    told = call(*path, "--help")
    assert (told.code, told.err) == (0, "")
    end = " ".join(told.out.split()).partition(" Examples ")[2]
    assert end.count(" ".join(path)) >= len(shown)
    assert "\\" not in end
    for example in shown:
        assert example.startswith(" ".join(path))
        arguments = shlex.split(example)
        for word in arguments:  # RUN, FOLDER: a reader puts there what exists
            if re.fullmatch(r"[A-Za-z0-9_./-]+", word) and not word.startswith("-"):
                Path(word).mkdir(parents=True, exist_ok=True)
        assert call(*arguments) == (0, "", "")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_examples_name_files_of_the_project_that_are_there(path: tuple[str, ...]) -> None:
    for example in examples(LEAVES[path]):
        for named in re.findall(r"examples/\S+", example):
            assert (ROOT / named).exists(), example


def one_line(said: Said, *words: str) -> None:
    assert said.code == 2
    assert said.out == ""
    assert re.fullmatch(r"orstate: [^\n\x1b]+\(see orstate( [^\n\x1b]+)? --help\)\n", said.err), said.err
    for word in words:
        assert word in said.err


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_what_a_command_does_not_know_is_one_line(
    path: tuple[str, ...], call: Callable[..., Said], tmp_path: Path
) -> None:
    one_line(call(*path, *right(path, tmp_path), "--nothing-such"), "--nothing-such")
    one_line(call(*path, *(["-"] * 9)), "-")
    for param in (param for param in OURS[path] if param.required):
        given = right(path, tmp_path)
        del given[given.index(param.opts[0]) if param.opts[0] in given else 0 :]
        one_line(call(*path, *given))
    for param in OURS[path]:
        if param.param_type_name == "option" and not param.is_flag:
            one_line(call(*path, *right(path, tmp_path), param.opts[0]), param.opts[0])


@pytest.mark.parametrize(("path", "param"), CAN_BE_WRONG, ids=lambda p: p.name if hasattr(p, "name") else " ".join(p))
def test_a_wrong_value_and_a_missing_file_are_one_line(
    path: tuple[str, ...], param: Any, call: Callable[..., Said], tmp_path: Path
) -> None:
    given = right(path, tmp_path)
    if param.param_type_name == "option":
        given += [param.opts[0], wrong(param)]
    else:
        given[0] = wrong(param)
    one_line(call(*path, *given), wrong(param), param.opts[0] if param.param_type_name == "option" else "")


@pytest.mark.parametrize("path", [path for path in TREE if path not in LEAVES], ids=" ".join)
def test_a_group_shows_its_help_and_knows_what_is_meant(path: tuple[str, ...], call: Callable[..., Said]) -> None:
    assert "Usage" in call(*path).out
    name = next(iter(TREE[path].commands))  # type: ignore[union-attr]
    one_line(call(*path, f"{name}e"), f"{name}e", "Did you mean")


def test_all_kinds_of_wrong_values_were_tried() -> None:
    names = {param.name for _, param in CAN_BE_WRONG}
    assert {"journal", "config", "keys", "rounds", "speed", "by", "log", "truth"} <= names
    assert len(LEAVES) > 25


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_program_may_read_what_a_command_tells(path: tuple[str, ...]) -> None:
    served = {("run",): "--events", ("monitor",): "--once", ("metrics",): "--listen", ("page",): "--listen"}
    options = {option for param in OURS[path] for option in param.opts}
    assert served.get(path, "--json") in options
