"""`keys generate`: the keys of an instance with `tcp` endpoints, and of its clients. Runs in the command's process."""

from pathlib import Path
from typing import Annotated

import typer

from stages.options import say

keys_app = typer.Typer(no_args_is_help=True)


@keys_app.callback()
def keys() -> None:
    """Keys for endpoints that others can reach.

    Examples:
        keys generate keys --client camera
    """


@keys_app.command("generate")
def generate(
    folder: Annotated[Path, typer.Argument(help="The folder of the pipeline's keys.")],
    client: Annotated[
        list[str] | None, typer.Option("--client", help="Also the keys of a client of that name; may be given again.")
    ] = None,
) -> None:
    """Make the pipeline's own pair of keys, unless it is there, and a pair for each client.

    Examples:
        keys generate keys
        keys generate keys --client camera --client screen
    """
    from pipeline.keys import CLIENTS
    from pipeline.keys import generate as make

    folder = folder.expanduser().absolute()
    for made in make(folder, client or []):
        if made == folder:
            say(f"the pipeline's keys; use them with security.keys = {str(folder)!r}")
            say(f"               and security.clients = {str(folder / CLIENTS)!r}")
        else:
            say(f"keys of client {made.name}: bring it this folder by a safe way, and delete it here")
        print(made)
