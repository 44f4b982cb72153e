"""The two forms a model may answer in, as JSON Schemas that a grammar can be made from. Used by all stages.

`small` is a difference: what to switch on and off, the phase, the next one, why, tips. It has no confidence: how sure
the model was is told by the probabilities of its choices, and a number of its own costs a tenth of the answer.
`full` is the state contract itself. Ids and phases are this surgery's own, and every string, list and number
is bounded, because a weak model never stops by itself.
"""

from typing import Any, Literal

from stages.surgery import Surgery

AnswerForm = Literal["small", "full"]

WHY_CHARACTERS = 160
TIP_CHARACTERS = 80
MAX_TIPS = 3
CONFIDENCES = [round(0.1 * step, 1) for step in range(11)]


def answer_schema(surgery: Surgery, form: AnswerForm) -> dict[str, Any]:
    """The JSON Schema of an answer about `surgery` in that form; keys stand in the order they are written."""
    return _small(surgery) if form == "small" else _full(surgery)


def _small(surgery: Surgery) -> dict[str, Any]:
    ids = _list_of({"enum": list(surgery.machine_ids)}, len(surgery.machines))
    return _object(
        {
            "on": ids,
            "off": ids,
            "phase": {"enum": list(surgery.phase_ids)},
            "next": {"enum": list(surgery.phase_ids)},
            "why": _words(WHY_CHARACTERS),
            "tips": _list_of(_words(TIP_CHARACTERS), MAX_TIPS),
        }
    )


def _full(surgery: Surgery) -> dict[str, Any]:
    ids = _list_of({"enum": list(surgery.machine_ids)}, len(surgery.machines))
    phase = {"enum": list(surgery.phase_ids)}
    toggle = _object(
        {
            "machine_id": {"enum": list(surgery.machine_ids)},
            "name": {"enum": [machine.name for machine in surgery.machines]},
            "action": {"enum": ["ON", "OFF", "STANDBY"]},
            "confidence": {"enum": CONFIDENCES},
            "match_type": {"enum": ["llm"]},
        }
    )
    return _object(
        {
            "metadata": _object({"phase": phase, "next_phase": phase, "reasoning": _words(WHY_CHARACTERS)}),
            "machines": _object({"0": ids, "1": ids}),
            "details": _object({"toggles": _list_of(toggle, len(surgery.machines))}),
            "suggestions": _list_of(_words(TIP_CHARACTERS), MAX_TIPS),
            "confidence": {"enum": CONFIDENCES},
            "source": {"enum": ["model"]},
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _list_of(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


def _words(most: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": most}
