"""Writes expected_scores.json: what transformers and peft compute for a tiny model and adapter, made by seeds.

`python tests/models/training/make_expected.py`, with the extras `training` and `training-reference`. The test that
reads the file needs neither.
"""

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[2])]

import torch
from reference import peft_model
from tiny_adapters import ALPHA, write_random_adapter
from tiny_models import write_gemma

from models.adapter import read_adapter

TOKENS = [2, *(20 + 7 * at % 180 for at in range(150))]  # more than the window
EVERY, SHOWN = 30, 8  # rows and scores that are kept

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        base = write_gemma(Path(folder) / "base.gguf", exact=True)
        pairs, _ = read_adapter(write_random_adapter(Path(folder) / "adapter.gguf", base))
        with torch.no_grad():
            scores = peft_model(base, pairs, ALPHA)(torch.tensor([TOKENS])).logits[0]
    rows = {at: [round(value, 3) for value in scores[at, :SHOWN].tolist()] for at in range(0, len(TOKENS), EVERY)}
    (HERE / "expected_scores.json").write_text(json.dumps({"tokens": TOKENS, "rows": rows}) + "\n")
