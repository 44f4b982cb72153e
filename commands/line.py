"""The command line as a whole: what is wrong with it is told in one line, and each help ends with examples.

Used by run_pipeline.py for all commands. A command's docstring ends with a line "Examples:" and behind it a line for
each, without the program's name.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import Abort, TyperException

from pipeline.errors import ConfigError, OrstateError
from stages.options import say

WRONG_USE: Final = 2  # exit code: trying again would not help
HEADING: Final = "\nExamples:\n"
_MARKUP: Final = re.compile(r"\[[a-z#/@][^\[]*?\]")  # what rich would take for a style

Command = TyperCommand | TyperGroup


class CommandLine(TyperGroup):
    """The root of the commands: `typer.Typer(cls=CommandLine)`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for _, command in walk(self):
            _examples_last(command)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command and exit; an error that a user can mend is one line, without a traceback."""
        if os.environ.get("NO_COLOR"):  # rich would still write in bold
            from typer import rich_utils

            rich_utils.COLOR_SYSTEM = None
        try:
            code = super().main(*arguments, **{**options, "standalone_mode": False})
        except TyperException as error:
            if line := _wrong(error):
                say(f"orstate: {line}")
            sys.exit(error.exit_code)
        except OrstateError as error:
            say(f"orstate: {error}")
            sys.exit(WRONG_USE if isinstance(error, ConfigError) else 1)
        except Abort:
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """The command and all below it, each with the words that lead to it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


def examples(command: Command) -> list[str]:
    """The examples of a command's help, as command lines without the program's name."""
    lines = (command.epilog or "").replace("\\[", "[").splitlines()[1:]
    return [line.strip().partition(" ")[2] for line in lines]


def _examples_last(command: Command) -> None:
    """Typer shows a docstring above the options, and the epilog below them."""
    text, found, lines = (command.help or "").partition(HEADING)
    if found:
        shown = (f"  {_program()} {line.strip()}" for line in lines.splitlines() if line.strip())
        command.help = text.strip()
        command.epilog = "[bold]Examples[/]\n" + _MARKUP.sub(r"\\\g<0>", "\n".join(shown))


def _program() -> str:
    return Path(sys.argv[0]).name


def _wrong(error: TyperException) -> str:
    """What is wrong with the arguments, and what to do; "" if the help was asked for by giving none."""
    if type(error).__name__ == "NoArgsIsHelpError":  # it has shown the help; typer gives no other way to know it
        return ""
    from pydantic import ValidationError  # what typer checks values with

    if isinstance(error, BadParameter) and error.param is None:  # raised by a command, in words that need no more
        return error.message
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    if isinstance(error.__cause__, ValidationError):
        value = repr(error.__cause__.errors()[0]["input"])
        text = text if value in text else text.replace(": ", f": {value}: ", 1)
    context = getattr(error, "ctx", None)
    return f"{text} (see {context.command_path if context else _program()} --help)"
