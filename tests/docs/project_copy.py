"""A copy of the project in which commands of the documentation run."""

import subprocess
from pathlib import Path
from typing import Any, NamedTuple


class Project(NamedTuple):
    """A copy of the project, and the environment of its commands."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, **more
        )
