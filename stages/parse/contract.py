"""Whether a state keeps the contract: configs/schema/surgery_state.schema.json, and what no schema can say.

Runs in the parse process, on every state before it is published.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import msgspec

from pipeline.config import ROOT
from pipeline.errors import UNDECODABLE, ConfigError, OrstateError
from stages.parse.texts import clip
from stages.surgery import Surgery

SCHEMA_FILE: Final = ROOT / "configs" / "schema" / "surgery_state.schema.json"


class ContractError(OrstateError):
    """A state does not keep the contract; names the path in it and the value."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(f"{path}: {fault}")
        self.path = path


class _Known(msgspec.Struct, frozen=True):
    surgery: str
    machines: frozenset[str]
    phases: frozenset[str]


class Contract:
    """The contract for a set of surgeries."""

    def __init__(self, surgeries: Mapping[str, Surgery], schema: Mapping[str, Any]) -> None:
        # The linear-time engine: no text, whatever a model makes it, can keep a pattern busy.
        self._schema = jsonschema_rs.Draft7Validator(dict(schema), pattern_options=jsonschema_rs.RegexOptions())
        self._known = {
            name: _Known(name, frozenset(surgery.machine_ids), frozenset(("", *surgery.phase_ids)))
            for name, surgery in surgeries.items()
        }

    def check(self, state: Mapping[str, Any], surgery: str) -> None:
        """Raises ContractError unless `state` is a whole, valid state of `surgery`."""
        if not self._schema.is_valid(state):
            error = next(self._schema.iter_errors(state))
            path = ".".join(str(step) for step in error.instance_path) or "state"
            raise ContractError(path, clip(error.message, 300))
        known = self._known[surgery]
        _check_machines(state["machines"], known)
        _check_metadata(state["metadata"], state["source"], known)
        _check_details(state["details"], known)


def load_schema(file: Path = SCHEMA_FILE) -> dict[str, Any]:
    """The schema in `file`. Raises ConfigError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UNDECODABLE as error:
        raise ConfigError(f"{file}: no JSON object: {error}") from error


def _check_machines(machines: Mapping[str, list[str]], known: _Known) -> None:
    off, on = machines["0"], machines["1"]
    listed = {*off, *on}
    if listed == known.machines and len(off) + len(on) == len(listed):
        return
    if both := sorted(set(off) & set(on)):
        raise ContractError("machines", f"{both[0]} stands in both lists")
    if strange := sorted(listed - known.machines):
        raise ContractError("machines", f"{strange[0]} is no machine of {known.surgery}")
    missing = sorted(known.machines - listed)
    raise ContractError("machines", f"{missing[0]} of {known.surgery} stands in no list")


def _check_metadata(metadata: Mapping[str, Any], source: str, known: _Known) -> None:
    if metadata.get("surgery") != known.surgery:
        raise ContractError("metadata.surgery", f"is {metadata.get('surgery')!r}, not {known.surgery!r}")
    for key in ("phase", "next_phase"):
        if metadata.get(key) not in known.phases:
            raise ContractError(f"metadata.{key}", f"{metadata.get(key)!r} is no phase of {known.surgery}")
    outcome = metadata.get("outcome")
    if metadata.get("degraded") is not (outcome != "ok"):
        raise ContractError("metadata.degraded", f"is {metadata.get('degraded')!r} with the outcome {outcome!r}")
    if outcome != "ok" and source != "rule":
        raise ContractError("source", f"is {source!r} with the outcome {outcome!r}; then it is what the rules know")


def _check_details(details: Mapping[str, Any], known: _Known) -> None:
    for key in ("toggles", "model_toggles", "deferred"):
        for at, toggle in enumerate(details.get(key, ())):
            if toggle["machine_id"] not in known.machines:
                fault = f"{toggle['machine_id']} is no machine of {known.surgery}"
                raise ContractError(f"details.{key}.{at}.machine_id", fault)
    for key in ("set_by", "set_at", "standby", "held"):
        if strange := sorted(set(details.get(key, ())) - known.machines):
            raise ContractError(f"details.{key}", f"{strange[0]} is no machine of {known.surgery}")
