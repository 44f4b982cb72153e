"""What comes from outside is never run: no pickle, no eval, no shell, no template, anywhere in our own code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "stages", "models", "commands", "benchmarks", "examples", "docs", "run_pipeline.py")
# Modules that make objects, or run code, of what they read
MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "jinja2", "mako", "runpy"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
OF_OS = {"system", "popen"}
ATTRIBUTES = {
    *("getoutput", "getstatusoutput", "create_subprocess_shell"),  # of subprocess and asyncio: a shell
    *("send_pyobj", "recv_pyobj"),  # of pyzmq: pickle
    *("from_string", "apply_chat_template", "Jinja2ChatFormatter"),  # templates
}


def sources() -> list[Path]:
    return sorted(
        path for name in PACKAGES for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    )


def uses(source: str) -> Iterator[tuple[int, str]]:
    """Line, and what it uses of the above."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Import(names=names):
                yield from ((line, name.name) for name in names if name.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=module, names=names, level=0):
                if (module or "").partition(".")[0] in MODULES:
                    yield line, str(module)
                yield from ((line, f"{module}.{n.name}") for n in names if n.name in ATTRIBUTES | BUILTINS)
                yield from ((line, f"os.{n.name}") for n in names if module == "os" and n.name in OF_OS)
            case ast.Name(id=name) if name in BUILTINS:
                yield line, name
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in OF_OS:
                yield line, f"os.{name}"
            case ast.Attribute(attr=name) if name in ATTRIBUTES:
                yield line, f".{name}"
            case ast.Attribute(value=ast.Name(id="builtins" | "__builtins__")):
                yield line, "builtins"
            case ast.keyword(arg="shell" | "allow_pickle" as name, value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield value.lineno, f"{name}="
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                if name in ATTRIBUTES | BUILTINS:
                    yield line, name


def test_no_code_of_ours_runs_what_it_reads() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sources()
        for line, what in uses(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["code or objects from data:", *found])


def test_all_of_our_packages_are_looked_at() -> None:
    with_code = {path.parts[len(ROOT.parts)] for path in ROOT.rglob("*.py")}
    assert {name for name in with_code if not name.startswith(".")} - set(PACKAGES) <= {"tests"}
    assert len(sources()) > 100


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import os, pickle as p",
        "from pickle import loads",
        "import yaml",
        "from jinja2.sandbox import ImmutableSandboxedEnvironment",
        "from llama_cpp.llama_chat_format import Jinja2ChatFormatter",
        "eval('1')",
        "f = exec",
        "compile('1', '', 'eval')",
        "__import__('os')",
        "import builtins\nbuiltins.eval('1')",
        "getattr(x, 'eval')",
        "os.system('ls')",
        "from os import popen",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=wanted)",
        "socket.send_pyobj({})",
        "np.load(path, allow_pickle=True)",
        "llama_chat_format.Jinja2ChatFormatter(t)",
    ],
)
def test_each_way_to_run_data_would_be_found(code: str) -> None:
    assert list(uses(f"x = 1\n{code}\n"))


@pytest.mark.parametrize(
    "code", ["re.compile('a')", "run(['ls'], shell=False)", "llama.eval([1])", "np.load(p)", "'eval'"]
)
def test_what_only_looks_like_it_is_not(code: str) -> None:
    assert not list(uses(code))
