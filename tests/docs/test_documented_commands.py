"""Each command that README and docs name exists with its options; those in marked blocks are really run.

A block is run if the comment right above it says so: `<!-- run -->`, or `<!-- run beside a pipeline -->` for what
talks to one that runs. What is shown of what comes out is marked `<!-- output -->`. So the marks stand in the pages,
where they cannot be seen, and not in a list here.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import Block, Command, blocks, commands, commands_in
from project_copy import Project

from docs.reference.pages import ROOT
from run_pipeline import app

MARKS = {"", "run", "run beside a pipeline", "output"}
COMMANDS = commands()
RUN = [block for block in blocks("sh") if block.mark]


def without_work(command: Any) -> Any:
    """The command and all below it, so that nothing happens once the arguments are read."""
    for below in getattr(command, "commands", {}).values():
        without_work(below)
    command.callback = lambda **_: None
    return command


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What typer has to say against arguments of run_pipeline.py; "" if nothing."""
    monkeypatch.chdir(tmp_path)
    command = without_work(typer.main.get_command(app))

    def told(*arguments: str) -> str:
        for word in arguments:  # RUN, FOLDER: a reader puts there what exists
            if re.fullmatch(r"[A-Za-z0-9_./-]+", word) and not word.startswith(("-", "/")):
                (tmp_path / word).mkdir(parents=True, exist_ok=True)
        with pytest.raises(SystemExit) as ended:
            command.main(list(arguments), "run_pipeline.py")
        said = capsys.readouterr()
        return said.err + said.out if ended.value.code else ""

    return told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.where} {c.program} {' '.join(c.arguments)}"[:100])
def test_a_documented_command_exists_with_its_options(command: Command, fault: Callable[..., str]) -> None:
    if command.program == "make":
        made = subprocess.run(["make", "-n", *command.arguments], cwd=ROOT, capture_output=True, text=True)
        assert made.returncode == 0, f"{command.where}: {made.stderr}"
    else:
        assert fault(*command.arguments) == "", command.where


def test_all_commands_are_found() -> None:
    assert len(COMMANDS) > 50
    named = {command.arguments[0] for command in COMMANDS if command.program == "run_pipeline.py"}
    assert named == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert {block.mark for block in blocks("sh", "python", "text")} == MARKS
    assert len(RUN) >= 6


@pytest.mark.parametrize(
    "wrong",
    [
        "models fetsch",
        "run --sett a.b=1",
        "replay",
        "replay a.jsonl b.jsonl",
        "keys",
        "publish - --speed fast",
        "stauts",
    ],
)
def test_a_command_that_does_not_exist_would_be_found(wrong: str, fault: Callable[..., str]) -> None:
    assert fault(*wrong.split()) != ""


def test_command_lines_are_read_as_a_shell_reads_them() -> None:
    text = """echo "a | b" | python run_pipeline.py publish - --set 'x.y=["a"]' && make demo PYTHON=python3  # a comment
FUZZ_MINUTES=2 make fuzz; do not make sense
.venv/bin/python run_pipeline.py verify \\
    journal/RUN
"""
    assert [command[1:] for command in commands_in(text, "")] == [
        ("run_pipeline.py", ("publish", "-", "--set", 'x.y=["a"]')),
        ("make", ("demo", "PYTHON=python3")),
        ("make", ("fuzz",)),
        ("run_pipeline.py", ("verify", "journal/RUN")),
    ]


@pytest.mark.parametrize("page", sorted({block.page for block in RUN if block.mark == "run"}))
def test_the_commands_of_a_page_run_and_say_what_it_shows(page: str, project: Project) -> None:
    said = ""
    for block in RUN:
        if (block.page, block.mark) == (page, "run"):
            done = project.run("bash", "-euo", "pipefail", "-c", block.text)
            said += done.stdout + done.stderr
            assert done.returncode == 0, f"{block.where}: {said}"
    for block in blocks("text"):
        if (block.page, block.mark) == (page, "output"):
            assert block.text in said, block.where


@pytest.mark.parametrize("block", [b for b in RUN if "beside" in b.mark], ids=lambda block: block.where)
def test_the_commands_of_a_block_run_beside_a_pipeline(block: Block, project: Project, endpoint: str) -> None:
    done = project.run("bash", "-euo", "pipefail", "-c", block.text)
    assert done.returncode == 0, done.stdout + done.stderr
