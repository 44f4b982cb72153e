"""`page`: the live page of a pipeline, and the page that `run` starts beside its own. Runs in the command's process."""

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.feed import KeysOption, ToOption, pipeline_of
from stages.options import ConfigOption, SetOption, configured, say, until_closed

if TYPE_CHECKING:
    from pipeline.beside import Beside
    from pipeline.config import Config, PageSection

HERE = "127.0.0.1:8080"


def page(
    to: ToOption = "",
    listen: Annotated[str, typer.Option(help=f"address:port; default: page.listen, or {HERE}.")] = "",
    keys: KeysOption = None,
    with_launcher: Annotated[bool, typer.Option("--with-launcher", help="Stop when standard input is closed.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Serve the live page of a pipeline that runs, or will run, until Ctrl-C.

    Examples:
        page
        page --to tcp://127.0.0.1:5557 --listen 127.0.0.1:8081
    """
    import msgspec

    from pipeline.config import resolve
    from stages.surgery import load_surgeries

    serve = _server()
    from pipeline.page.view import Dictionary, Named

    loaded = configured(config, None, set_)
    endpoint, keys = pipeline_of(to, keys, config, set_)
    dictionaries = {
        name: Dictionary(
            surgery.full_name,
            tuple(Named(phase.id, phase.name) for phase in surgery.phases),
            tuple(Named(machine.id, machine.name) for machine in surgery.machines),
        )
        for name, surgery in load_surgeries(resolve(loaded.prompt.machines)).items()
    }
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    if with_launcher:
        threading.Thread(target=until_closed, args=(over,), daemon=True, name="launcher").start()
    section = msgspec.structs.replace(loaded.page, listen=listen or loaded.page.listen or HERE)
    serve(section, endpoint, keys, dictionaries, say, over.is_set)


def page_beside(loaded: "Config", config: Path | None, settings: Sequence[str]) -> "Beside":
    """The page that a run starts with its own configuration, if that names an address. Raises OrstateError."""
    from pipeline.beside import Beside
    from pipeline.launch import PROGRAM

    if not loaded.page.listen:
        return Beside("page", (), say)
    _server()
    from pipeline.page.serve import Settings

    Settings(loaded.page)  # what is wrong with it is told before anything runs
    given = [*(("--config", str(config)) if config else ()), *(part for one in settings for part in ("--set", one))]
    return Beside("page", (*PROGRAM, "page", "--with-launcher", *given), say)


def page_told(section: "PageSection") -> str:
    """What a run will serve there, and to whom. Raises OrstateError for what would fail."""
    from pipeline.config import resolve

    _server()
    from pipeline.page.serve import Settings

    settings = Settings(section, make_token=False)
    with settings.bind() as held:
        url = settings.url(held.getsockname()[1] if settings.port else 0)
    if not section.token:
        return f"{url} for every account of this machine, without a token"
    file = resolve(section.token)
    return f"{url} for who has the token in {file}" + ("" if file.exists() else ", which is made")


def _server() -> Callable[..., None]:
    from pipeline.errors import OrstateError

    try:
        from pipeline.page.serve import serve
    except ModuleNotFoundError as error:
        raise OrstateError(f"the page needs {error.name}: pip install 'orstate[page]'") from error
    return serve
