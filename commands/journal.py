"""`export`, `verify` and `redact`: what one does with the journal of a run. Runs in the command's process."""

from pathlib import Path
from typing import Annotated, cast

import typer

from stages.options import JsonOption, tell


def export(
    journal: Annotated[Path, typer.Argument(help="A run's journal folder, or an .mcap file.", exists=True)],
    to: Annotated[str, typer.Option("--to", help="foxglove, jsonl, parquet or csv.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; it must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Write a journal in another program's format.

    Examples:
        export journal/RUN --to foxglove -o case.mcap
    """
    from pipeline.console import Bar
    from pipeline.export import FORMATS, Format
    from pipeline.export import export as run_export

    if to not in FORMATS:
        raise typer.BadParameter(f"--to {to}: give one of {', '.join(FORMATS)}")
    with Bar("exporting") as bar:
        count = run_export(journal, cast(Format, to), out, bar.say, bar)
    tell({"file": str(out), "records": count}, as_json, f"{out}: {count} records")


def verify(
    journal: Annotated[Path, typer.Argument(help="A run's journal folder, or an .mcap file.", exists=True)],
    as_json: JsonOption = False,
) -> None:
    """Say whether a journal is as it was written: no record changed, cut out or put in.

    Examples:
        verify journal/RUN
        verify journal/RUN/inputs-1.mcap --json
    """
    from msgspec.json import encode

    from pipeline.console import Bar
    from pipeline.verify import verify as run_verify

    with Bar("verifying") as bar:
        found = run_verify(journal, bar)
    if as_json:
        print(encode(found).decode())
    for finding in () if as_json else found:
        print(finding.sentence())
    raise typer.Exit(1 if any(finding.faults for finding in found) else 0)


def redact(
    journal: Annotated[Path, typer.Argument(help="A run's journal folder, or an .mcap file.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; it must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Write a journal without what was said: no text, no prompt, no answer, no pixel.

    Examples:
        redact journal/RUN -o without-text
    """
    from pipeline.console import Bar
    from pipeline.redact import redact as run_redact

    with Bar("redacting") as bar:
        count = run_redact(journal, out, bar.say, bar)
    tell({"folder": str(out), "records": count}, as_json, f"{out}: {count} records")
