"""What there is to count in a case, for a person and for a program. Runs in the command's process."""

from collections.abc import Mapping
from statistics import quantiles
from typing import Any

import msgspec

from commands.report.case import Case, Session
from commands.report.judged import Judged
from commands.report.markup import clock
from commands.report.spans import spans


class Counts(msgspec.Struct, frozen=True):
    """Names and values in words: of the journal, and of each session by its number."""

    journal: dict[str, str]
    sessions: dict[int, dict[str, str]]


def counts(case: Case, judged: Mapping[int, Judged]) -> Counts:
    """The counts in words; what did not occur is left out."""
    told = figures(case, judged)
    journal = {
        "inputs": _listed(told["inputs"]),
        "requests answered": _listed(told["requests"]),
        "refused": _listed(told["dead_letters"]),
        "restarts": _listed(told["restarts"]),
    }
    sessions = {}
    for session, one in zip(case.sessions, told["sessions"], strict=True):
        rows = {
            "lasted": clock(one["seconds"]) + ("" if session.ended else ", and was not ended"),
            "inputs": str(one["inputs"]),
            "states": _listed(one["states"]),
            "model's answers": _listed(one["answers"]),
            "moved": _listed(one["moved"]),
            "degraded": f"{100 * one['degraded_share']:.1f} % of the time" if one["degraded_share"] else "",
        }
        for by, took in one["latency_ms"].items():
            name = "rules" if by == "rule" else by
            rows[f"latency, {name}"] = (
                "median {half:.1f} ms, 95 % within {most:.1f} ms, longest {longest:.1f} ms".format(
                    half=took["median"], most=took["p95"], longest=took["max"]
                )
            )
        if truth := one.get("truth"):
            shares = {name.replace("_", " "): f"{value:.3f}" for name, value in truth["figures"].items()}
            rows["right"] = ", ".join(f"{name} {value}" for name, value in shares.items())
            rows["toggles"] = _listed({**truth["counts"], "missed": truth["missed"], "false": truth["false"]})
        sessions[session.number] = {name: text for name, text in rows.items() if text}
    return Counts({name: text for name, text in journal.items() if text}, sessions)


def figures(case: Case, judged: Mapping[int, Judged]) -> dict[str, Any]:
    """The counts as plain values: `--json`."""
    restarts = [stage for _, stage in case.restarts]
    return {
        "journal": case.path,
        "inputs": dict(case.inputs),
        "requests": dict(case.requests),
        "dead_letters": dict(case.dead_letters),
        "restarts": {stage: restarts.count(stage) for stage in sorted(set(restarts))},
        "lost_records": case.lost,
        "unread_records": case.unread,
        "sessions": [_session(session, judged.get(session.number)) for session in case.sessions],
    }


def _session(session: Session, judged: Judged | None) -> dict[str, Any]:
    changes = [change for entry in session.entries for change in entry.changes]
    took: dict[str, list[float]] = {}
    for moment in session.moments:
        if moment.total_ms is not None:
            took.setdefault(moment.by, []).append(moment.total_ms)
    told: dict[str, Any] = {
        "session": session.name,
        "surgery": session.start.surgery,
        "seconds": session.end_s,
        "ended": session.ended,
        "inputs": len(session.entries),
        "states": dict(session.outcomes),
        "answers": dict(session.answers),
        "moved": {
            "machines": sum(bool(change.machine) for change in changes),
            "phases": sum(not change.machine for change in changes),
        },
        "degraded_share": _degraded(session),
        "latency_ms": {by: _spread(times) for by, times in took.items()},
    }
    if judged is not None:
        score = judged.score
        told["truth"] = {
            "figures": score.figures(),
            "counts": score.counts(),
            "missed": len(score.missed),
            "false": len(score.false),
        }
    return told


def _spread(times: list[float]) -> dict[str, float]:
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
    return {"median": cuts[9], "p95": cuts[18], "max": max(times)}


def _degraded(session: Session) -> float:
    """The share of message time in which states lacked the model's part."""
    end = session.end_s
    steps = ((moment.t, "" if moment.outcome == "ok" else moment.outcome) for moment in session.moments)
    return sum(span.end - span.begin for span in spans(steps, end)) / end if end else 0.0


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in values.items())
