"""How right a network is on lessons that it was not trained on. Training only.

A choice is right if the best of what the grammar allows is the lesson's, behind the lesson's own beginning. Where all
choices up to a field are right, that is what the engine writes, greedy: so nothing needs to be written to know it.
"""

from collections import defaultdict

import numpy as np
import torch

from models.training.encode import Encoder, Example
from models.training.loss import choices, cost
from models.training.network import Network
from models.training.packs import Pack, pack_all
from models.training.settings import Settings
from models.training.validating import validation_lessons
from pipeline.config import resolve
from stages.surgery import load_surgeries

Scores = dict[str, float]


class Validation:
    """The lessons, encoded once."""

    def __init__(self, encoder: Encoder, settings: Settings) -> None:
        made = validation_lessons(settings, settings.validation.lessons)
        examples = [encoder.encode(lesson, with_allowed=True) for lesson in made]
        self._packs = pack_all(examples, settings.steps.tokens, settings.steps.together, "validation")
        self._shipped = set(load_surgeries(resolve("configs/machines")))

    def scores(self, network: Network) -> Scores:
        """Shares of the lessons: `toggles` (what is switched), `exact` (that, and the phases), `whole` (every word).

        Then `exact` of the shipped and of the invented surgeries, and of each kind of talk; and `loss`, a mean over
        choices.
        """
        right: dict[str, list[bool]] = defaultdict(list)
        total, rows = 0.0, 0
        for pack in self._packs:
            loss, chosen = _judge(network, pack)
            total += loss
            rows += len(pack.rows)
            for at, example in enumerate(pack.examples):
                self._count(right, example, chosen[pack.owners == at])
        return {"loss": total / rows, **{name: float(np.mean(each)) for name, each in sorted(right.items())}}

    def _count(self, right: dict[str, list[bool]], example: Example, chosen: np.ndarray) -> None:
        wrong = {field for field, a, b in zip(example.fields, example.targets, chosen, strict=True) if a != b}
        exact = not wrong & {"toggles", "phase"}
        right["toggles"].append("toggles" not in wrong)
        right["exact"].append(exact)
        right["whole"].append(not wrong)
        right["shipped" if example.lesson.surgery.surgery in self._shipped else "invented"].append(exact)
        right[f"kind {example.lesson.kind}"].append(exact)


@torch.no_grad()
def _judge(network: Network, pack: Pack) -> tuple[float, np.ndarray]:
    """The summed loss, and the choice of each row."""
    hidden = network.hidden(pack)
    loss = cost(hidden, network.embedding, torch.from_numpy(pack.targets), torch.ones(len(pack.rows)))
    allowed = np.stack([each for example in pack.examples for each in example.allowed])
    return float(loss), choices(hidden, network.embedding, torch.from_numpy(allowed)).numpy()
