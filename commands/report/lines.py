"""The inputs of a session as a table: what was said, and what rules and model made of it. Command's process."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from commands.report.case import Change, Entry, Session
from commands.report.judged import Judged
from commands.report.markup import Child, Element, clock, element
from pipeline.errors import UNDECODABLE
from pipeline.messages import Completion, Input, Observation, Override, SessionEnd, SessionStart, Transcript
from stages.surgery import Surgery

COLUMNS: Final = ("time", "who", "what", "moved", "the model's answer", "took")
ANSWER_CHARACTERS: Final = 2000


def lines(session: Session, surgery: Surgery, judged: Judged | None) -> Element:
    """A row for each input, in the order they came."""
    head = element("tr", *(element("th", column, scope="col") for column in COLUMNS))
    rows = (_row(session.anchor(number), entry, surgery, judged) for number, entry in enumerate(session.entries))
    return element("table", element("thead", head), element("tbody", *rows), class_="lines")


def _row(anchor: str, entry: Entry, surgery: Surgery, judged: Judged | None) -> Element:
    message = entry.input
    answer = list(_answer(entry.answer, surgery)) if entry.answer is not None else []
    kinds = [*(["moved"] if entry.changes else []), *(["differs"] if _differs(entry.answer) else [])]
    took = ", ".join(f"{'rules' if by == 'rule' else by} {total:.1f} ms" for by, total in entry.took_ms.items())
    return element(
        "tr",
        element("td", element("a", clock(message.t), href=f"#{anchor}"), class_="t"),
        element("td", _who(message)),
        element("td", *_what(entry)),
        element("td", *(_change(change, surgery, judged) for change in entry.changes)),
        element("td", *answer, class_="answer"),
        element("td", took, class_="t"),
        id=anchor,
        class_=" ".join(kinds) or None,
    )


def _who(message: Input) -> str:
    if isinstance(message, Transcript):
        return message.speaker
    if isinstance(message, Override):
        return message.operator or "a human"
    return "video" if isinstance(message, Observation) else ""


def _what(entry: Entry) -> Iterator[Child]:
    match entry.input:
        case Transcript(text=text, is_final=is_final):
            yield from marked(text, map(_heard, entry.changes))
            yield None if is_final else element("small", " (not final)")
        case Observation(kind=kind, label=label, value=value, confidence=confidence):
            yield element("em", f"seen: {kind} {label} {value}".rstrip())
            yield element("small", f" {confidence:.2f}")
        case Override(machine=machine, action=action, reason=reason):
            yield element("em", f"override: {machine} {action}" + (f", {reason}" if reason else ""))
        case SessionStart(surgery=surgery):
            yield element("em", f"{surgery} begins")
        case SessionEnd(reason=reason):
            yield element("em", "the session ends" + (f": {reason}" if reason else ""))
        case other:
            yield type(other).__name__


def _heard(change: Change) -> list[str]:
    """The words that moved it, the whole construction first."""
    return [words for words in (change.toggle.words, change.toggle.trigger) if words] if change.toggle else []


def marked(text: str, heard: Iterable[list[str]]) -> Iterator[Child]:
    """The text with the words that changed something marked; of each list the first one that is found in it.

    The rules compare words without case and what stands between them.
    """
    found = [span for choices in heard if (span := next(filter(None, (_find(text, c) for c in choices)), None))]
    at = 0
    for begin, end in sorted(found):
        if begin >= at:
            yield text[at:begin]
            yield element("mark", text[begin:end])
            at = end
    yield text[at:]


def _find(text: str, words: str) -> tuple[int, int] | None:
    pattern = r"\W+".join(re.escape(word) for word in re.findall(r"\w+", words))
    found = re.search(rf"\b{pattern}\b", text, re.IGNORECASE) if pattern else None
    return found.span() if found else None


def _change(change: Change, surgery: Surgery, judged: Judged | None) -> Element:
    if change.machine:
        known = surgery.machine(change.machine)
        what = f"{change.machine} {known.name}" if known is not None else change.machine
        text = f"{change.to} {what}, by {change.by}"
    else:
        text = f"phase {_phase(change.to, surgery)}, by {change.by}"
    rule = f" ({change.toggle.rule})" if change.toggle is not None and change.toggle.rule else ""
    verdict = judged.is_right(change) if judged is not None else None
    sign = {True: " ✓ right", False: " ✗ wrong", None: ""}[verdict]
    kind = {True: "right", False: "wrong", None: None}[verdict]
    return element("div", text, element("small", rule), element("b", sign, class_=kind) if sign else None)


def _phase(phase: str, surgery: Surgery) -> str:
    known = surgery.phase(phase)
    return f"{phase} {known.name}" if known is not None else phase


def _fields(completion: Completion | None) -> dict[str, Any]:
    """What an answer in the small form says; {} for any other text."""
    if completion is None:
        return {}
    try:
        return msgspec.json.decode(completion.text, type=dict[str, Any])
    except UNDECODABLE:
        return {}


def _beside(completion: Completion | None) -> Iterator[tuple[str, str]]:
    """What the answer says other than the rules did when it was asked for: in words, and what the rules said."""
    fields = _fields(completion)
    if completion is None:
        return
    if (phase := fields.get("phase")) and phase != completion.rules.phase:
        yield f"phase {phase}", completion.rules.phase
    for key, state in (("on", "ON"), ("off", "OFF")):
        listed = fields.get(key)
        for machine in listed if isinstance(listed, list) else ():
            said = completion.rules.machines.get(machine) if isinstance(machine, str) else None
            if said is not None and (said == "ON") != (state == "ON"):
                yield f"{state} {machine}", said


def _differs(completion: Completion | None) -> bool:
    return any(_beside(completion))


def _answer(completion: Completion, surgery: Surgery) -> Iterator[Child]:
    if completion.outcome != "ok":
        yield element("b", f"none: {completion.outcome}", class_="wrong")
        yield element("small", f" {completion.error}")
        return
    fields = _fields(completion)
    if phase := fields.get("phase"):
        yield element("div", f"phase {_phase(str(phase), surgery)}")
    for said, rules in _beside(completion):
        yield element("div", f"{said} ", element("small", f"(the rules: {rules})"), class_="beside")
    if why := fields.get("why"):
        yield element("div", str(why), class_="why")
    tips = fields.get("tips")
    for tip in tips if isinstance(tips, list) else ():
        yield element("div", f"suggests: {tip}", class_="why")
    raw = completion.text[:ANSWER_CHARACTERS] + ("…" if len(completion.text) > ANSWER_CHARACTERS else "")
    tokens = f"{completion.prompt_tokens} + {completion.answer_tokens} tokens"
    yield element("details", element("summary", f"as written, {tokens}"), element("code", raw))
