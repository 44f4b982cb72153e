"""The programs in README and docs are right: all compile, and those that use a client run, with the stub as model."""

import sys

import pytest
from documents import Block, blocks
from project_copy import Project

PROGRAMS = blocks("python")
RUN = [block for block in PROGRAMS if block.mark]
GIVEN = """import numpy as np
pixels = np.zeros((48, 64, 3), dtype=np.uint8)
endpoint = {endpoint!r}
"""


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.where)
def test_a_program_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.where)
def test_a_program_that_uses_a_client_is_run(block: Block) -> None:
    uses_a_client = "pipeline.client" in block.text or "pipeline.aio" in block.text
    assert bool(block.mark) == uses_a_client, (
        f"{block.where}: mark it with <!-- run --> or <!-- run beside a pipeline -->"
    )


@pytest.mark.parametrize("block", [b for b in RUN if b.mark == "run"], ids=lambda block: block.where)
def test_a_program_runs(block: Block, project: Project) -> None:
    done = project.run(sys.executable, "-c", GIVEN.format(endpoint="") + block.text)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [b for b in RUN if "beside" in b.mark], ids=lambda block: block.where)
def test_a_program_runs_beside_a_pipeline(block: Block, project: Project, endpoint: str) -> None:
    done = project.run(sys.executable, "-c", GIVEN.format(endpoint=endpoint) + block.text)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_programs() -> None:
    assert len(RUN) >= 6
    assert any(block.where.startswith("README") for block in RUN)
