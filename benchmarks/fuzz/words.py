"""Files of TOML: a hospital's own words, the language of the rules, manifests of models, the configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from benchmarks.fuzz.machines import run
from benchmarks.fuzz.target import Check, Target
from benchmarks.fuzz.values import JUNK, TEXTS
from models.manifest import load_manifests
from pipeline.config import load_config
from pipeline.errors import ConfigError
from stages.prompt.language import LANGUAGE_FILE, load_language
from stages.prompt.site_words import load_vocabulary, with_site_words

RUN_OF: Final = 16  # with the first so many files that are taken a session runs, then with each such: it takes long


def make(folder: Path) -> Check:
    words = load_vocabulary(load_config().prompt)
    surgery = words.surgeries["PCNL"]
    file = folder / "gemma.toml"
    taken = [0]

    def site() -> None:
        added = with_site_words(words, file)
        taken[0] += 1
        if taken[0] <= RUN_OF or taken[0] % RUN_OF == 0:
            run(added, added.surgeries[surgery.surgery])

    readers: dict[bytes, Callable[[], Any]] = {
        b"S": site,
        b"L": lambda: load_language(file),
        b"M": lambda: load_manifests(folder),
        b"C": lambda: load_config(file),
    }

    def check(data: bytes) -> None:
        """The file is refused by name and key, or what it says works. Its first byte chooses the reader."""
        file.write_bytes(data[1:])
        try:
            readers.get(data[:1], site)()
        except ConfigError:
            return

    return check


def toml(tables: dict[str, dict[str, Any]]) -> bytes:
    """Tables of plain values as TOML."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines).encode("utf-8", "replace")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value) + '"'
    return repr(value)


_PHRASES: Final = st.lists(
    st.sampled_from(("big eye", "knock off", "suction", " ", "-", "on", "turn")) | TEXTS, max_size=3
)
_SITE: Final = st.dictionaries(
    st.sampled_from(
        ("machines.PCNL.M04", "machines.pcnl.M06", "machines.X.M01", "words.verbs", "words.glue", "words.x")
    ),
    st.dictionaries(st.sampled_from(("aliases", "triggers", "stop", "start", "and", "x")), _PHRASES, max_size=2),
    max_size=4,
).map(toml)
_LANGUAGE: Final = LANGUAGE_FILE.read_bytes()
_CUTS: Final = st.tuples(st.integers(0, len(_LANGUAGE)), st.integers(0, 40), st.binary(max_size=10)).map(
    lambda cut: _LANGUAGE[: cut[0]] + cut[2] + _LANGUAGE[cut[0] + cut[1] :]
)
_MANIFEST: Final = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("gemma", "gemma\n", "..", "a/b")),
        "label": st.just("gemma") | TEXTS,
        "file": st.sampled_from(("a.gguf", "../a.gguf", "/etc/passwd", "\x00.gguf")),
        "prompt": st.sampled_from(("chat", "completion")),
        "context": st.integers(0, 2**64),
        "sha256": st.sampled_from(("0" * 64, "0" * 64 + "\n", "")),
        "size_gib": st.floats(),
    },
)
_CONFIG: Final = st.dictionaries(
    st.sampled_from(("run", "ingress", "prompt", "inference", "queues")),
    st.dictionaries(
        st.sampled_from(("instance", "bind", "connect", "requests", "slots", "window_s", "model", "seed", "affinity")),
        st.sampled_from(("ipc", "tcp://[::1]:5", "tcp://*:0", "tcp://a:99999", [1, 2], -1, 1e999, True))
        | TEXTS
        | JUNK.filter(lambda value: isinstance(value, int | float | str)),
        max_size=3,
    ),
    max_size=3,
).map(toml)

TARGET: Final = Target(
    "words",
    make,
    st.one_of(
        _SITE.map(lambda text: b"S" + text),
        _CUTS.map(lambda text: b"L" + text),
        _MANIFEST.map(lambda table: b"M" + toml({"source": {}}).join((toml({"x": table}).partition(b"\n")[2], b""))),
        _CONFIG.map(lambda text: b"C" + text),
    ),
)
