"""The options that several commands have, and the configuration they make. Runs in the command's process.

The commands stand on top of all layers: run_pipeline.py, commands/, and beside what they run models/commands.py,
benchmarks/commands.py. What a command needs it imports itself, so that none pays for another.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.config import Config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A TOML file; default configs/pipeline.toml.", exists=True)
]
ModelOption = Annotated[str | None, typer.Option("--model", help="A manifest's name, a path to a GGUF, or stub.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Results as JSON on standard output, for programs.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be given again.")]


def settings_of(model: str | None, settings: Sequence[str] | None) -> list[str]:
    """What --set and --model say, as settings."""
    return [*(settings or ()), *([f"inference.model={model!r}"] if model else ())]


def configured(config: Path | None = None, model: str | None = None, settings: Sequence[str] | None = None) -> "Config":
    """The configuration, its model and surgeries looked up. Raises ConfigError."""
    from models.manifest import find_manifest
    from pipeline.config import load_config, resolve
    from stages.surgery import load_surgeries

    loaded = load_config(config, settings_of(model, settings))
    find_manifest(loaded.inference.model)
    load_surgeries(resolve(loaded.prompt.machines))
    return loaded


def say(line: str) -> None:
    """Tell the person at the terminal; standard output is for results."""
    print(line, file=sys.stderr, flush=True)


def tell(result: dict[str, object], as_json: bool, line: str) -> None:
    """Tell what a command came to: as JSON on standard output for a program, or in a line for a person."""
    if as_json:
        print(json.dumps(result))
    else:
        say(line)


def until_closed(over: threading.Event) -> None:
    """Wait for the end of standard input, which the launcher holds, and tell of it."""
    while os.read(0, 4096):
        pass
    over.set()
