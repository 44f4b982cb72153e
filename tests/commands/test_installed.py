"""`orstate`, as it is once it is installed: the script, without the project's folder, and its completion in a shell."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.config import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]


@pytest.fixture(scope="module")
def orstate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside a folder with what is installed, and nothing else of the project."""
    folder = tmp_path_factory.mktemp("installed")
    site = folder / "site"
    for package in PACKAGES:
        target = site / package.replace(".", "/")
        target.mkdir(parents=True)
        source = ROOT / package.replace(".", "/")
        for file in (*source.glob("*.py"), *(f for p in _data(package) for f in source.glob(p) if f.is_file())):
            place = target / file.relative_to(source)
            place.parent.mkdir(exist_ok=True)
            shutil.copy(file, place)
    for module in PROJECT["tool"]["setuptools"]["py-modules"]:
        shutil.copy(ROOT / f"{module}.py", site)
    module, _, function = PROJECT["project"]["scripts"]["orstate"].partition(":")
    script = folder / "orstate"  # as an installer writes it
    start = f"import sys\nsys.path.insert(0, {str(site)!r})\nfrom {module} import {function}\nsys.exit({function}())\n"
    script.write_text(f"#!{sys.executable} -P\n{start}")
    script.chmod(0o755)
    return script


def _data(package: str) -> list[str]:
    patterns: list[str] = PROJECT["tool"]["setuptools"]["package-data"].get(package, [])
    return patterns


def called(orstate: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(orstate), *arguments],
        cwd=folder, env=environment | {"HOME": str(folder)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_every_package_of_the_project_is_installed() -> None:
    top = {package.partition(".")[0] for package in PACKAGES} - {"configs"}
    files = (file for name in top for file in (ROOT / name).rglob("*.py"))
    folders = {str(file.parent.relative_to(ROOT)).replace("/", ".") for file in files}
    assert folders | {"configs"} == set(PACKAGES)


def test_a_replay_runs_where_it_is_installed_and_keeps_its_journal_in_the_current_folder(
    orstate: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case.jsonl"
    case.write_text('{"surgery": "PCNL"}\n{"t": 1.0, "text": "turn on the suction"}\n')
    done = called(orstate, tmp_path, "replay", "case.jsonl", "--model", "stub", "--set", "inference.prefix_cache=")
    assert done.returncode == 0, done.stderr
    (journal,) = (tmp_path / "journal").iterdir()
    verified = called(orstate, tmp_path, "verify", str(journal))
    assert verified.returncode == 0, verified.stderr
    assert called(orstate, tmp_path, "verify").stderr == (
        "orstate: Missing argument 'journal' (see orstate verify --help)\n"
    )


def test_a_shell_completes_commands_and_options(orstate: Path, tmp_path: Path) -> None:
    where = {**os.environ, "HOME": str(tmp_path), "PATH": f"{orstate.parent}:{os.environ['PATH']}"}
    where.pop("PYTHONPATH", None)

    def bash(script: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{script}; :"], env=where, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    assert "bash completion installed" in bash("orstate --install-completion")

    def completed(*words: str) -> set[str]:
        listed = " ".join(words[:-1]) + f" '{words[-1]}'"
        ask = f"COMP_WORDS=(orstate {listed}); COMP_CWORD={len(words)}; _orstate_completion orstate"
        return set(bash(f'. ~/.bash_completions/orstate.sh; {ask}; printf "%s\\n" "${{COMPREPLY[@]}}"').split())

    assert completed("re") == {"replay", "record", "report", "redact"}
    assert completed("models", "") == {"list", "fetch", "trim", "verify", "warm", "path"}
    assert completed("eval", "--b") == {"--by"}
    assert completed("eval", "--by", "") == {"rule", "llm", "fused"}
