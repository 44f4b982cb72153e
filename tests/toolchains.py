"""Tools that some tests need and that are not installed with the project: `.ci/run` brings all of them."""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip; or fail where ORSTATE_ALL_TOOLCHAINS says that everything is there. `what`: it, and how to get it."""
    if os.environ.get("ORSTATE_ALL_TOOLCHAINS"):
        pytest.fail(what)
    pytest.skip(what)
