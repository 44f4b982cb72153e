"""A training that is killed and begun again writes what one without a break does. Needs the extra `training`."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tiny_models import write_gemma

from models.adapter import read_adapter
from models.training.settings import DEFAULT_FILE

CHILD = Path(__file__).with_name("training_child.py")
ROOT = Path(__file__).resolve().parents[3]
STEPS = 8
CHANGED = {
    "precision": '"float32"',
    "compiled": "false",
    "threads": "1",
    "checkpoint_every": "3",
    "chunk": "12",  # so that a training takes several, and is cut off within one
    "count": f"{STEPS}",
    "tokens": "2500",
    "warm_up": "2",
    "lessons": "12",
    "every": "4",
    "rank": "4",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of a training of a few steps, and its weights."""
    pytest.importorskip("torch", reason="the extra `training` is not installed")
    folder = tmp_path_factory.mktemp("training")
    weights = write_gemma(folder / "weights.gguf", exact=True)
    text = DEFAULT_FILE.read_text().replace('"gemma-3-270m"', f'"{weights}"', 1)
    for key, value in CHANGED.items():
        text, found = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
        assert found == 1
    (folder / "settings.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """What a training without a break wrote."""
    assert run(folder, "whole").returncode == 0
    return folder / "whole"


def run(folder: Path, output: str, *where: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), str(folder / "settings.toml"), str(folder / output), *where]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{CHILD.parent}"}
    return subprocess.run(command, env=path, text=True, capture_output=True, check=False, timeout=150)


def written(output: Path) -> dict[str, object]:
    """What lies in the folder of a training, but for times."""
    from safetensors import safe_open

    with safe_open(output / "checkpoint.safetensors", framework="np") as file:
        tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
        progress = msgspec.json.decode(file.metadata()["progress"])
    del progress["seconds"]
    return {
        "tensors": tensors,
        "progress": progress,
        **{name: (output / name).read_bytes() for name in ("best.gguf", "best.json", "log.jsonl")},
    }


def test_a_training_logs_each_step_learns_and_keeps_its_best(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))
    assert sum(losses[-2:]) < sum(losses[:2])
    scores = {line["step"]: line["validation"] for line in lines if "validation" in line}
    assert list(scores) == [4, 8]
    best = json.loads((whole / "best.json").read_text())
    assert best["scores"] == scores[best["step"]]
    assert {"exact", "toggles", "whole", "loss", "kind on", "kind off", "kind talk"} <= set(best["scores"])
    pairs, alpha = read_adapter(whole / "best.gguf")
    assert (len(pairs), alpha) == (49, 32.0)
    assert any(pair.b.any() for pair in pairs.values())


@pytest.mark.parametrize(
    "points",
    [[("log", "2"), ("log", "5"), ("saving", "6")], [("best", "4"), ("saving", "8")]],
    ids=["between checkpoints", "while it writes"],
)
def test_a_training_that_is_killed_and_begun_again_writes_the_same(
    points: list[tuple[str, str]], folder: Path, whole: Path
) -> None:
    output = "-".join(number for _, number in points)
    for point in points:
        killed = run(folder, output, *point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert run(folder, output).returncode == 0
    assert written(folder / output) == written(whole)


def test_a_training_with_other_settings_does_not_go_on_in_the_same_folder(folder: Path, whole: Path) -> None:
    text = (folder / "settings.toml").read_text()
    (folder / "other").mkdir()
    (folder / "other" / "settings.toml").write_text(text.replace("warm_up = 2", "warm_up = 1"))
    (folder / "other" / "whole").symlink_to(whole)
    refused = run(folder / "other", "whole")
    assert refused.returncode == 1
    assert refused.stderr.startswith("train: ")
    assert "was begun with other settings; give those, or another --output" in refused.stderr
