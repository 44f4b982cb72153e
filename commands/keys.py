"""`keys generate`: the keys of an instance with `tcp` endpoints, and of its clients. Runs in the command's process."""

from pathlib import Path
from typing import Annotated

import typer

from stages.options import JsonOption, say

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
    as_json: JsonOption = False,
) -> None:
    """Make the pipeline's own pair of keys, unless it is there, and a pair for each client.

    Examples:
        keys generate keys
        keys generate keys --client camera --client screen
    """
    import json

    from pipeline.keys import CLIENTS
    from pipeline.keys import generate as make

    folder = folder.expanduser().absolute()
    made_now = make(folder, client or [])
    if as_json:
        print(json.dumps({"made": [str(made) for made in made_now], "clients": str(folder / CLIENTS)}))
        return
    for made in made_now:
        if made == folder:
            say(f"the pipeline's keys; use them with security.keys = {str(folder)!r}")
            say(f"               and security.clients = {str(folder / CLIENTS)!r}")
        else:
            say(f"keys of client {made.name}: bring it this folder by a safe way, and delete it here")
        print(made)
