"""`models warm`: what it computes is what the prompt stage asks with."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from models.manifest import find_manifest
from pipeline.config import load_config, resolve
from pipeline.messages import ModelChanged, PromptJob, SessionStart, Transcript
from stages.inference.stage import open_llama
from stages.prompt.stage import create
from stages.surgery import load_surgeries

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_question_of_the_next_start_finds_its_beginning_computed(tiny_llama: Path, tmp_path: Path) -> None:
    settings = [
        f"inference.model={str(tiny_llama)!r}",
        f"inference.prefix_cache={str(tmp_path)!r}",
        "inference.context=16384",
        "prompt.examples=few",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "models", "warm", *options]
    warmed = subprocess.run(command, text=True, capture_output=True, check=False, timeout=120)
    assert warmed.returncode == 0, warmed.stderr
    assert len(list(tmp_path.glob("*.prefix"))) == 3

    config = load_config(None, settings)
    prompt = create(config)
    inputs = [
        ModelChanged(state="ready", error=""),
        SessionStart(session="a", seq=1, t=0.0, surgery="PCNL"),
        Transcript(session="a", seq=2, t=1.0, text="suction on"),
    ]
    sent = [message for each in inputs for message in prompt.handle(each)]
    (job,) = (message for message in sent if isinstance(message, PromptJob))
    surgeries = load_surgeries(resolve(config.prompt.machines))
    with closing(open_llama(config, find_manifest(str(tiny_llama)), surgeries)) as backend:
        backend.admit(job)
        backend.step()
        assert backend.counters()["prefixes_loaded"] == 1
