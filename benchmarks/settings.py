"""The settings with which the benchmarks run our engine: the shipped ones but for what is the same for all engines."""

from pipeline.config import InferenceSection

THREADS = 2


def ours_settings(model: str, prefix_cache: str = "") -> tuple[str, ...]:
    """`section.key=value` settings. `prefix_cache`: folder of computed prompt beginnings; "": none is read or kept."""
    settings = (f"inference.model={model!r}", f"inference.threads={THREADS}", "inference.temperature=0.0")
    if not keeps_prefixes():
        return settings
    return (*settings, f"inference.prefix_cache={prefix_cache!r}")


def keeps_prefixes() -> bool:
    """Whether this engine can keep computed prompt beginnings on disk."""
    return "prefix_cache" in InferenceSection.__struct_fields__
