"""A copy of the project in which documented commands run: the stub is its model, and nothing is left of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from project_copy import Project

from docs.reference.pages import ROOT

FOLDERS = ("pipeline", "stages", "models", "configs", "commands", "benchmarks", "examples", "docs")
WEIGHTS = ("*.gguf", "*.part", "prefixes", "node_modules", "__pycache__")


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))  # short: ipc sockets lie in it
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*WEIGHTS))
    for name in ("run_pipeline.py", "Makefile", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    settings = folder / "configs" / "pipeline.toml"
    shipped = settings.read_text(encoding="utf-8")
    stubbed = shipped.replace('model = "gemma-3-270m-taught"', 'model = "stub"')
    assert stubbed != shipped
    settings.write_text(stubbed, encoding="utf-8")
    (folder / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    yield Project(folder, environment | {"TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(folder)})
    shutil.rmtree(folder)


@pytest.fixture
def endpoint(project: Project) -> Iterator[str]:
    """The request endpoint of a pipeline that runs in the copy."""
    command = [str(project.folder / ".venv/bin/python"), "run_pipeline.py", "run", "--events", "--with-launcher"]
    running = subprocess.Popen(
        command, cwd=project.folder, env=project.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    try:
        for line in running.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                break
        else:
            pytest.fail("the pipeline did not become ready")
        yield event["requests"]
    finally:
        running.communicate()
