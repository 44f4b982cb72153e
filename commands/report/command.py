"""`report`: a recorded case as one page. Runs in the command's process."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.options import ConfigOption, JsonOption, SetOption, configured, say

if TYPE_CHECKING:
    from commands.report.case import Case, Session


def report(
    journal: Annotated[Path, typer.Argument(help="A run's journal folder, or an .mcap file.", exists=True)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The .html file to write; it must not exist.")] = None,
    session: Annotated[str, typer.Option(help="Only this session; default: all.")] = "",
    truth: Annotated[
        Path | None,
        typer.Option(help="What was true in the session: NAME.truth.json, as `eval` takes it.", exists=True),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Make one page of a recorded case: timeline, what moved it, model beside rules, outages, latency, counts.

    It needs no other file and makes no request. With --truth, right and wrong are marked; --json prints the counts.

    Examples:
        report journal/RUN -o case.html
        report case.mcap --truth case.truth.json --json
    """
    import json

    from benchmarks.eval.truth import read_truth
    from commands.report.case import read_case
    from commands.report.counts import figures
    from commands.report.judged import judge
    from commands.report.page import page
    from pipeline.config import resolve
    from pipeline.console import Bar
    from pipeline.errors import ConfigError
    from stages.surgery import load_surgeries

    if out is None and not as_json:
        raise typer.BadParameter("nothing to write: give -o FILE.html, or --json for the counts")
    surgeries = load_surgeries(resolve(configured(config, None, set_).prompt.machines))
    with Bar("reading the journal") as bar:
        case = read_case(journal, bar)
    if session:
        _keep(case, session)
    judged = {}
    if truth is not None:
        surgery, true = read_truth(truth, surgeries)
        one = _only(case)
        if one.start.surgery != surgery.surgery:
            raise ConfigError(f"{truth}: is about {surgery.surgery}; session {one.name} is a {one.start.surgery}")
        judged[one.number] = judge(one, surgery, true)
    if out is not None:
        write(out, page(case, surgeries, judged))
        say(f"{out}: {len(case.sessions)} sessions")
    if as_json:
        print(json.dumps(figures(case, judged)))


def write(out: Path, text: str) -> None:
    """A new file with mode 0600: what was said in a room stands in it. Raises OrstateError."""
    import os

    from pipeline.errors import OrstateError

    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OrstateError(f"{out}: cannot be written: {error.strerror}; give another name") from error


def _keep(case: "Case", name: str) -> None:
    from pipeline.errors import OrstateError

    names = sorted({one.name for one in case.sessions})
    case.sessions = [one for one in case.sessions if one.name == name]
    if not case.sessions:
        raise OrstateError(f"{case.path}: no session {name!r} in it; there are {', '.join(names) or 'none'}")


def _only(case: "Case") -> "Session":
    from pipeline.errors import OrstateError

    if len(case.sessions) != 1:
        names = ", ".join(one.name for one in case.sessions) or "none"
        raise OrstateError(f"{case.path}: --truth is about one session; name it with --session (there are {names})")
    return case.sessions[0]
