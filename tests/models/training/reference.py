"""Gemma 3 as transformers and peft make it, with the weights of a GGUF file and the pairs of an adapter."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from models.adapter import Pair
from models.training.weights import load

NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def peft_model(path: Path, pairs: dict[str, Pair], alpha: float) -> Any:
    """The model with its adapter; what is trained is what peft trains."""
    shape, weights = load(path)
    config = Gemma3TextConfig(
        vocab_size=len(weights["token_embd.weight"]),
        hidden_size=shape.width,
        intermediate_size=len(weights["blk.0.ffn_gate.weight"]),
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=1,
        head_dim=shape.head_size,
        query_pre_attn_scalar=shape.head_size,
        rms_norm_eps=shape.epsilon,
        sliding_window=shape.window,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": shape.base},
            "sliding_attention": {"rope_type": "default", "rope_theta": shape.window_base},
        },
        pad_token_id=None,
        attn_implementation="eager",
    )
    state = {"model.embed_tokens.weight": weights["token_embd.weight"], "lm_head.weight": weights["token_embd.weight"]}
    state["model.norm.weight"] = weights["output_norm.weight"] - 1
    for name, values in weights.items():
        if name.startswith("blk."):
            _, layer, short, _ = name.split(".")
            is_norm = short.endswith("norm")  # transformers adds the 1 that the converter has added
            state[f"model.layers.{layer}.{NAMES[short]}.weight"] = values - 1 if is_norm else values
    model = Gemma3ForCausalLM(config)
    model.load_state_dict(state)
    rank = len(next(iter(pairs.values())).a)
    targets = [name.rpartition(".")[2] for name in NAMES.values() if name.endswith("proj")]
    adapted = get_peft_model(model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets))
    with torch.no_grad():
        for name, pair in pairs.items():
            for half, values in zip("AB", pair, strict=True):
                parameter(adapted, name, half).copy_(torch.from_numpy(values))
    return adapted.eval()


def parameter(adapted: Any, name: str, half: str) -> torch.Tensor:
    """What peft trains for a half, `A` or `B`, of that matrix of the GGUF."""
    _, layer, short, _ = name.split(".")
    module = adapted.base_model.model.model.layers[int(layer)].get_submodule(NAMES[short])
    found: torch.Tensor = getattr(module, f"lora_{half}")["default"].weight
    return found
