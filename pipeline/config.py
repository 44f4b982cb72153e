"""The configuration: configs/pipeline.toml decoded into frozen structs. Used by the command line and all processes.

Every key has a default, so a file names only what it changes. `--set section.key=value` changes one more.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pipeline import endpoints
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()
DEFAULT_FILE = ROOT / "configs" / "pipeline.toml"

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=2**31)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class Run(Section, frozen=True, kw_only=True):
    """Where an instance lives. Two instances of one name exclude each other."""

    instance: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")] = "default"
    directory: str = ""  # sockets, lock and stage logs; "": a folder of this user's, by instance
    journal: str = "journal"  # a folder for each run is made in it; "": no journal
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0  # journals of older runs are removed; 0: kept
    keep_mb: Annotated[float, Meta(ge=0, le=1e9)] = 0.0  # the oldest are removed while all are larger; 0: kept
    drain_s: Positive = 30.0
    lockstep: bool = False  # every question waits for its answer: a replay that always says the same


class Ingress(Section, frozen=True, kw_only=True):
    """What comes in. `connect`: PUB endpoints to subscribe to. `bind`: publishers connect here."""

    connect: tuple[str, ...] = ()
    bind: str = "ipc"  # "ipc": in the run directory; "": none; or an endpoint
    requests: str = "ipc"
    max_message_bytes: Bytes = 262_144
    high_water_mark: Count = 10_000

    def __post_init__(self) -> None:
        endpoints.check("ingress.bind", self.bind, words=("ipc", ""))
        endpoints.check("ingress.requests", self.requests, words=("ipc",))
        for endpoint in self.connect:
            endpoints.check("ingress.connect", endpoint, to_bind=False)


class Egress(Section, frozen=True, kw_only=True):
    """What goes out."""

    states: str = "ipc"  # "ipc": in the run directory; or an endpoint to bind
    encoding: Literal["json", "msgpack"] = "json"
    high_water_mark: Count = 10_000

    def __post_init__(self) -> None:
        endpoints.check("egress.states", self.states, words=("ipc",))


class Security(Section, frozen=True, kw_only=True):
    """Keys (CURVE) for endpoints of TCP, as `keys generate` makes them. See docs/security.md."""

    keys: str = ""  # the folder with our own pair; "": no keys, and tcp binds to loopback only
    clients: str = ""  # the folder of the public keys of those who may connect
    publishers: dict[str, str] = {}  # of ingress.connect, those with keys: endpoint, and file of its public key


class Queues(Section, frozen=True, kw_only=True):
    """The shared-memory queue of each hop. A slot is a credit."""

    slots: Annotated[int, Meta(ge=2, le=4096)] = 64
    slot_bytes: Annotated[int, Meta(ge=4096, le=2**26)] = 131_072
    inline_bytes: Annotated[int, Meta(ge=0, le=65_536)] = 2048


class Frames(Section, frozen=True, kw_only=True):
    """Rings for the pixels of video processes: one ring a process; an old frame is overwritten."""

    rings: Annotated[int, Meta(ge=0, le=16)] = 1
    slots: Annotated[int, Meta(ge=2, le=1024)] = 4
    slot_bytes: Annotated[int, Meta(ge=4096, le=2**30)] = 1920 * 1080 * 3
    journal: bool = False  # keep the pixels in the journal


class PromptSection(Section, frozen=True, kw_only=True):
    """Sessions, rules and when the model is asked. Seconds here are message time."""

    machines: str = "configs/machines"
    rules: bool = True  # False: the rules read nothing, the model alone is heard
    examples: Literal["model", "none", "few", "many"] = "model"  # in a prompt; model: as the manifest says
    language: str = "configs/language/english.toml"  # the words of the rules
    site_words: str = ""  # a file with a hospital's own aliases and phrases; "": none
    window_s: Positive = 180.0
    window_lines: Count | Literal["model"] = "model"  # at most; model: as the manifest says
    debounce_s: NotNegative = 3.0
    min_interval_s: NotNegative | Literal["auto"] = "auto"  # between two questions; auto: as the model's speed allows
    utilization: Annotated[float, Meta(gt=0, le=1)] = 0.5  # auto: share of the time in which the model may be at work
    backwards_s: NotNegative = 5.0  # how far a message may lie behind the session's newest
    observation_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.5  # below: shown to the model only
    max_sessions: Count = 64
    max_requests: Count = 256  # explicit requests open at one time
    request_timeout_s: Positive = 120.0  # for a session's question; requests bring their own deadline


class InferenceSection(Section, frozen=True, kw_only=True):
    """The model and the cycle that drains its jobs."""

    model: str = "gemma-3-270m-taught"  # a manifest's name, a path to a GGUF, or stub
    batch: Annotated[int, Meta(ge=1, le=64)] = 4
    window_ms: NotNegative = 500.0
    strict: bool = False  # wait for a full batch or the end of the window before starting
    answer: Literal["small", "full"] = "small"
    max_tokens: Annotated[int, Meta(ge=16, le=8192)] = 768
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.1
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.9
    seed: Annotated[int, Meta(ge=0, le=2**31)] = 7
    context: Annotated[int, Meta(ge=512, le=131_072)] = 4096
    shelf_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 1024  # memory for sessions that are not at work
    guess: Annotated[int, Meta(ge=0, le=256)] = 32  # tokens guessed ahead at most and computed at one go; 0: none
    rows: Annotated[int, Meta(ge=16, le=4096)] = 128  # tokens that are computed between two looks at a deadline
    retry_s: Positive = 30.0  # a model that cannot be loaded is tried again so often
    prefix_cache: str = "models/prefixes"  # folder of computed prompt beginnings; "": none are kept
    threads: Annotated[int, Meta(ge=0, le=256)] = 0  # 0: half of the cores, but two where there are two
    affinity: tuple[Annotated[int, Meta(ge=0, le=4095)], ...] = ()  # cores to run on; none: wherever there is room
    niceness: Annotated[int, Meta(ge=0, le=19)] = 5  # who is nicer gets less of a busy core


class ParseSection(Section, frozen=True, kw_only=True):
    """How the model's answers are taken."""

    # What only the model would switch is applied where it is reliable; True: always; False: only shown
    apply_model_toggles: bool | Literal["measured"] = "measured"
    reliability: Annotated[float, Meta(ge=0, le=1)] = 0.6  # how often it must be right, at least, against the rules
    safety_reliability: Annotated[float, Meta(ge=0, le=1)] = 0.9  # with a machine of these categories:
    safety_categories: tuple[str, ...] = (
        "Monitoring",
        "Life Support",
        "Drug Delivery",
        "Gas Control",
        "Energy Device",
        "Hemostasis",
    )
    expire_s: Positive = 30.0  # message time after which an answer no longer stands


class Supervision(Section, frozen=True, kw_only=True):
    """How the stages are watched."""

    restarts_per_minute: Annotated[int, Meta(ge=0, le=100)] = 5
    start_s: Positive = 60.0  # until a stage must say Hello and Ready
    load_s: Positive = 300.0  # until the model must be loaded
    busy_s: Positive = 10.0  # longest step of prompt and parse
    inference_busy_s: Positive = 180.0  # longest step of inference
    status_s: Positive = 1.0


class PageSection(Section, frozen=True, kw_only=True):
    """The live page: who reaches it where."""

    listen: str = ""  # address:port; "": no page
    token: str = ""  # a file with the token that it wants, made if there is none; must be given but on loopback
    certificate: str = ""  # a file (PEM); with it and its key the page speaks HTTPS
    key: str = ""


class MetricsSection(Section, frozen=True, kw_only=True):
    """Metrics for Prometheus, and whether it is well."""

    listen: str = ""  # address:port; "": none are served


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration."""

    run: Run = Run()
    ingress: Ingress = Ingress()
    egress: Egress = Egress()
    security: Security = Security()
    queues: Queues = Queues()
    frames: Frames = Frames()
    prompt: PromptSection = PromptSection()
    inference: InferenceSection = InferenceSection()
    parse: ParseSection = ParseSection()
    supervision: Supervision = Supervision()
    page: PageSection = PageSection()
    metrics: MetricsSection = MetricsSection()


def load_config(file: Path | None = None, settings: Iterable[str] = ()) -> Config:
    """The configuration of `file` (default: configs/pipeline.toml), with `section.key=value` settings on top.

    Raises ConfigError, which names the file or setting and the key.
    """
    path, settings = file or DEFAULT_FILE, tuple(settings)
    tables = read_toml(path, "; give another with --config")
    config = _convert(tables, str(path))
    for setting in settings:
        section, key, value = _split(setting)
        tables.setdefault(section, {})[key] = value
        config = _convert(tables, f"--set {setting}")
    try:
        _check_keys(config)
    except ConfigError as error:
        raise ConfigError(f"{path}{' and --set' if settings else ''}: {error}") from error
    return config


def resolve(path: str) -> Path:
    """A path from the configuration: relative ones count from the project's folder.

    Where orstate is installed without that they count from the current folder, and `configs/` is found all the same.
    """
    given = Path(path).expanduser()
    return ROOT / given if given.parts[:1] == ("configs",) and not (HOME / given).exists() else HOME / given


def read_toml(path: Path, advice: str = "") -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError, with `advice` behind it if the file cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{advice}") from error
    except (ValueError, RecursionError) as error:  # ValueError: no UTF-8 or TOML, or an integer of too many digits
        raise ConfigError(f"{path}: no TOML: {error}") from error


def _check_keys(config: Config) -> None:
    """What sections say together: whom others can reach has keys. Raises ConfigError."""
    ingress, security = config.ingress, config.security
    bound = {"ingress.bind": ingress.bind, "ingress.requests": ingress.requests, "egress.states": config.egress.states}
    for key, endpoint in bound.items():
        endpoints.check_keys(key, endpoint, with_keys=bool(security.keys))
    if security.keys and not security.clients:
        raise ConfigError("security.clients = '': nobody could connect; give the folder of the clients' public keys")
    if (security.clients or security.publishers) and not security.keys:
        raise ConfigError(
            f"security.keys = '': security.{'clients' if security.clients else 'publishers'} needs keys of our own; "
            "make them with: python run_pipeline.py keys generate FOLDER"
        )
    for endpoint in security.publishers:
        if endpoint not in ingress.connect:
            raise ConfigError(f"security.publishers has {endpoint!r}, which is not in ingress.connect; add it there")


def _split(setting: str) -> tuple[str, str, Any]:
    name, equals, text = setting.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise ConfigError(f"--set {setting}: give it as section.key=value")
    try:
        return section, key, tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return section, key, text  # a bare word is a string


def _convert(tables: dict[str, Any], origin: str) -> Config:
    try:
        return msgspec.convert(tables, Config)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(f"{origin}: {error}") from error
