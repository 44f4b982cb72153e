"""`export`: what one does with the journal of a run. Runs in the command's process."""

from pathlib import Path
from typing import Annotated, cast

import typer

from stages.options import say


def export(
    journal: Annotated[Path, typer.Argument(help="A run's journal folder, or an .mcap file.")],
    to: Annotated[str, typer.Option("--to", help="foxglove, jsonl, parquet or csv.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; it must not exist.")],
) -> None:
    """Write a journal in another program's format.

    Example:  export journal/20260601T080000.000Z --to foxglove -o case.mcap
    """
    from pipeline.export import FORMATS, Format
    from pipeline.export import export as run_export

    if to not in FORMATS:
        raise typer.BadParameter(f"--to {to}: give one of {', '.join(FORMATS)}")
    count = run_export(journal, cast(Format, to), out, say)
    say(f"{out}: {count} records")
