"""Gemma 3 with the frozen weights of a GGUF file and the pairs of matrices that are trained, in PyTorch. Training only.

The weights are those that llama.cpp will use, so what is trained makes up for what quantising has cost. Products are
made in bfloat16, the residual stream stays in single precision, as it does there. (transformers and peft, which the
tests compare it with, do not know packs.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from models.adapter import Pair
from models.training.attention import Masks, attend
from models.training.packs import Pack
from models.training.weights import load
from pipeline.errors import OrstateError

Precision = Literal["bfloat16", "float32"]

_TOGETHER: Final = (("attn_q", "attn_k", "attn_v"), ("attn_output",), ("ffn_gate", "ffn_up"), ("ffn_down",))


@dataclass(frozen=True, slots=True)
class _Product:
    """Matrices that are multiplied with one input, as one: [out, in], and the pair of each."""

    weight: Tensor
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    pairs: tuple[tuple[Tensor, Tensor], ...]
    scale: float

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        a = torch.cat([a for a, _ in self.pairs]).to(x.dtype)
        b = (torch.block_diag(*[b for _, b in self.pairs]) * self.scale).to(x.dtype)
        return torch.addmm((x @ a.T) @ b.T, x, self.weight.T).split(self.sizes, dim=1)


class Network:
    """The model with its pairs. Everything but the pairs is frozen."""

    def __init__(self, path: Path, *, rank: int, alpha: float, seed: int, precision: Precision) -> None:
        """The pairs begin as nothing: A by chance of that seed, B zero. Raises OrstateError for other architectures."""
        self.rank, self.alpha = rank, alpha
        self._kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.shape, weights = load(path)
        self.embedding = weights["token_embd.weight"].to(self._kind)
        self._norms = {name: each for name, each in weights.items() if name.endswith("norm.weight")}
        chance = torch.Generator().manual_seed(seed)
        self._layers = [
            [self._product(weights, layer, names, chance) for names in _TOGETHER] for layer in range(self.shape.layers)
        ]

    def _product(
        self, weights: dict[str, Tensor], layer: int, names: Sequence[str], chance: torch.Generator
    ) -> _Product:
        full = tuple(f"blk.{layer}.{name}.weight" for name in names)
        matrices = [weights[name] for name in full]
        pairs = []
        for matrix in matrices:
            rows, width = matrix.shape
            a = (torch.rand(self.rank, width, generator=chance) * 2 - 1) * width**-0.5  # as peft does
            pairs.append((a.requires_grad_(), torch.zeros(rows, self.rank).requires_grad_()))
        return _Product(
            weight=torch.cat(matrices).to(self._kind),
            names=full,
            sizes=tuple(len(matrix) for matrix in matrices),
            pairs=tuple(pairs),
            scale=self.alpha / self.rank,
        )

    @property
    def _pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        products = (product for layer in self._layers for product in layer)
        return {name: pair for each in products for name, pair in zip(each.names, each.pairs, strict=True)}

    @property
    def trained(self) -> dict[str, Tensor]:
        """What is trained, by `<matrix of the GGUF>.lora_a` and `.lora_b`."""
        halves = ((name, half, at) for name in self._pairs for at, half in enumerate("ab"))
        return {f"{name}.lora_{half}": self._pairs[name][at] for name, half, at in halves}

    def hidden(self, pack: Pack) -> Tensor:
        """The last hidden state of the pack's wanted rows: [rows, width], in single precision."""
        masks = Masks(pack, self.shape.window)
        turns = [_turns(pack, self.shape.head_size, base) for base in (self.shape.base, self.shape.window_base)]
        h = self.embedding[torch.from_numpy(pack.tokens)].float() * self.shape.width**0.5
        for number, layer in enumerate(self._layers):
            windowed = self.shape.has_window(number)
            h = self._layer(number, layer, h, pack, masks.windowed if windowed else masks.full, turns[windowed])
        return _normed(h[torch.from_numpy(pack.rows)], self._norms["output_norm.weight"], self.shape.epsilon)

    def _layer(
        self,
        number: int,
        layer: list[_Product],
        h: Tensor,
        pack: Pack,
        masks: list[Tensor],
        turns: tuple[Tensor, Tensor],
    ) -> Tensor:
        def norm(name: str) -> Tensor:
            return self._norms[f"blk.{number}.{name}.weight"]

        shape, kind = self.shape, self._kind
        to_heads, from_heads, to_middle, from_middle = layer
        q, k, v = to_heads(_narrow_normed(h, norm("attn_norm"), shape.epsilon, kind))
        q = _turned(q.reshape(len(h), shape.heads, shape.head_size), norm("attn_q_norm"), shape.epsilon, *turns)
        k = _turned(k.reshape(len(h), 1, shape.head_size), norm("attn_k_norm"), shape.epsilon, *turns)
        (attended,) = from_heads(attend(q, k[:, 0], v, pack, masks).flatten(1))
        h = _added(h, attended, norm("post_attention_norm"), shape.epsilon)
        gate, up = to_middle(_narrow_normed(h, norm("ffn_norm"), shape.epsilon, kind))
        (fed,) = from_middle(_gated(gate, up))
        return _added(h, fed, norm("post_ffw_norm"), shape.epsilon)

    def pairs(self) -> dict[str, Pair]:
        """What was trained, for the writer of adapters."""
        return {name: Pair(*(half.detach().numpy().copy() for half in pair)) for name, pair in self._pairs.items()}

    def take(self, pairs: dict[str, Pair], alpha: float) -> None:
        """Go on from an adapter. Raises OrstateError if its matrices, rank or alpha are not those of this network."""
        mine = self._pairs
        if alpha != self.alpha or set(pairs) != set(mine):
            raise OrstateError(
                f"the adapter to start from has alpha {alpha:g} and {len(pairs)} matrices, the settings ask for "
                f"{self.alpha:g} and {len(mine)}; give an adapter that was trained with like settings"
            )
        for name, pair in pairs.items():
            for own, given in zip(mine[name], pair, strict=True):
                if tuple(own.shape) != given.shape:
                    raise OrstateError(
                        f"the adapter to start from has {name} of shape {given.shape}, the settings ask for "
                        f"{tuple(own.shape)}; set the rank to that of the adapter"
                    )
                with torch.no_grad():
                    own.copy_(torch.from_numpy(given))


def _turns(pack: Pack, size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotation at each position: [tokens, 1, size]."""
    rates = base ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.from_numpy(pack.positions).float()[:, None] * rates
    both = torch.cat([angles, angles], dim=1)[:, None]
    return both.cos(), both.sin()


# --- what is made of one run over the numbers when it is compiled -----------------------------------------------------


def _normed(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = x.float()
    return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon) * weight


@torch.compile(dynamic=True)
def _narrow_normed(x: Tensor, weight: Tensor, epsilon: float, kind: torch.dtype) -> Tensor:
    return _normed(x, weight, epsilon).to(kind)


@torch.compile(dynamic=True)
def _turned(x: Tensor, weight: Tensor, epsilon: float, cosines: Tensor, sines: Tensor) -> Tensor:
    normed = _normed(x, weight, epsilon)
    left, right = normed.chunk(2, dim=-1)
    return (normed * cosines + torch.cat([-right, left], dim=-1) * sines).to(x.dtype)


@torch.compile(dynamic=True)
def _added(h: Tensor, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return h + _normed(x, weight, epsilon)


@torch.compile(dynamic=True)
def _gated(gate: Tensor, up: Tensor) -> Tensor:
    return (torch.nn.functional.gelu(gate.float(), approximate="tanh") * up.float()).to(gate.dtype)
