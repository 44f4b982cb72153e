"""llama.cpp with a written adapter beside what transformers and peft have computed (make_expected.py)."""

import json
from pathlib import Path

import numpy as np
from beside import opened
from tiny_adapters import write_random_adapter
from tiny_models import write_gemma

from stages.inference.native import Layout, Row

EXPECTED = json.loads(Path(__file__).with_name("expected_scores.json").read_text())


def test_llama_cpp_computes_with_an_adapter_what_peft_does(tmp_path: Path) -> None:
    base = write_gemma(tmp_path / "base.gguf", exact=True)
    rows = {int(at): values for at, values in EXPECTED["rows"].items()}
    wanted = np.array(list(rows.values()))

    def computed(adapter: Path | None) -> np.ndarray:
        layout = Layout(cells=256, sequences=1, rows=256, threads=1, flash_attention=False)
        with opened(base, adapter, layout) as (_, context):
            context.decode([Row(token, at, 0, at in rows) for at, token in enumerate(EXPECTED["tokens"])])
            return np.array([context.logits(at)[: wanted.shape[1]].copy() for at in rows])

    assert (
        np.abs(computed(write_random_adapter(tmp_path / "adapter.gguf", base)) - wanted).max() < 0.15
    )  # the scores of a row spread by 3
    assert np.abs(computed(None) - wanted).max() > 0.5
