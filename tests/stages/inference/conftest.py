"""Questions, clocks and models for the tests of the inference stage."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.fetch import ensure
from models.manifest import find_manifest
from pipeline.config import Config, InferenceSection
from pipeline.messages import Prompt, PromptJob, RuleOutcome
from stages.inference.stage import open_llama
from stages.surgery import Machine, Phase, Surgery

MACHINES = ["Patient Monitor", "Anesthesia Machine", "Ventilator", "C-Arm", "Irrigation Pump", "Suction"]
SURGERY = Surgery(
    "PCNL",
    "Percutaneous Nephrolithotomy",
    "Urology OR",
    tuple(Phase(f"Phase{number}", f"Part {number}") for number in range(1, 7)),
    tuple(Machine(f"M{number:02d}", name, "Any") for number, name in enumerate(MACHINES, 1)),
)
SHARED = (
    "You follow an operation and answer in JSON.\n"
    + "".join(f"{machine.id}: {machine.name}\n" for machine in SURGERY.machines)
    + "[1.0s] Surgeon: Irrigation please.\n"
    + 'JSON: {"on":["M05"],"off":[],"phase":"Phase3","next":"Phase4","why":"asked","tips":[]}\n'
)

GEMMA: dict[str, Any] = {"context": 768, "max_tokens": 48, "temperature": 0.0}


class Clock:
    """Monotonic nanoseconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_ms(self, milliseconds: float) -> None:
        self.now += round(milliseconds * 1e6)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def surgery() -> Surgery:
    return SURGERY


@pytest.fixture(scope="session")
def make_job() -> Callable[..., PromptJob]:
    """A question; keyword arguments replace fields of the job, the prompt or the rules."""

    def make(job_id: str = "j1", transcript: str = "[2.0s] Surgeon: Suction on.\n", **changes: Any) -> PromptJob:
        prompt = Prompt(
            form=changes.pop("form", "completion"),
            shared=changes.pop("shared", SHARED),
            transcript=transcript,
            tail=changes.pop("tail", "JSON: "),
        )
        rules = RuleOutcome(
            session="s1",
            epoch=1,
            number=1,
            seq=3,
            t=2.0,
            surgery=changes.pop("surgery", "PCNL"),
            started_at=0.0,
            machines={machine.id: "OFF" for machine in SURGERY.machines} | {"M01": "ON"},
            set_by={},
            phase=changes.pop("phase", "Phase3"),
            next_phase=changes.pop("next_phase", "Phase4"),
            model="ready",
        )
        fields: dict[str, Any] = {"kind": "session", "answer": "small", **changes}
        return PromptJob(job_id=job_id, rules=rules, prompt=prompt, **fields)

    return make


@pytest.fixture(scope="session")
def gemma() -> Iterator[Any]:
    """The embedded model with a small context, loaded once, greedy. Its clock stands still."""
    manifest = find_manifest("gemma-3-270m")
    ensure(manifest)
    config = Config(inference=InferenceSection(model=manifest.name, **GEMMA, prefix_cache=""))
    backend = open_llama(config, manifest, {"PCNL": SURGERY}, Clock())
    yield backend
    backend.close()
