"""A model file is data: a template that it brings is code, and is not even read as such."""

from contextlib import closing
from pathlib import Path
from typing import Any

import jinja2
import pytest
from backend_asking import ask
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tiny_models import write_gemma

from models.gguf import read
from models.manifest import find_manifest
from models.store import verify
from models.trim import trim
from pipeline.config import InferenceSection
from stages.inference.llama import LlamaBackend
from stages.surgery import Surgery

HOSTILE = "{{ cycler.__init__.__globals__.os.system('touch RUN') }}{% for i in range(999999999) %}{{ i }}{% endfor %}"
SETTINGS: dict[str, Any] = {"context": 2048, "max_tokens": 64, "temperature": 0.0, "threads": 1, "prefix_cache": ""}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    return write_gemma(tmp_path / "hostile.gguf", template=HOSTILE.replace("RUN", str(tmp_path / "run")))


@pytest.fixture
def no_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only engine of templates that the library has must not be asked for anything."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a template was compiled")

    monkeypatch.setattr(jinja2.Environment, "compile", refuse)
    with pytest.raises(AssertionError, match="compiled"):
        ImmutableSandboxedEnvironment().from_string(HOSTILE)


@pytest.mark.usefixtures("no_templates")
@pytest.mark.parametrize("form", ["chat", "completion"])
def test_a_hostile_template_changes_no_prompt_and_no_answer(
    hostile: Path, tiny_gemma: Path, tmp_path: Path, make_job: Any, surgery: Surgery, form: str
) -> None:
    answers = []
    for path in (hostile, tiny_gemma):
        section = InferenceSection(**SETTINGS)
        with closing(
            LlamaBackend(path, find_manifest(str(path)), section, {"PCNL": surgery}, limit_s=160.0)
        ) as backend:
            [answer] = ask(backend, make_job(form=form))
            answers.append((answer.outcome, answer.text, answer.prompt_tokens))
    assert answers[0] == answers[1]
    assert answers[0][0] == "ok"
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_templates")
def test_checking_and_trimming_a_file_does_not_run_its_template(hostile: Path, tmp_path: Path) -> None:
    assert read(hostile).metadata["tokenizer.chat_template"].text().startswith("{{ cycler")
    verify(find_manifest(str(hostile)))
    trim(hostile, tmp_path / "trimmed.gguf", lambda *_: None)
    assert not (tmp_path / "run").exists()
