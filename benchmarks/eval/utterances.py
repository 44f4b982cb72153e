"""The utterances of a .jsonl and what each is expected to do. Runs in the command's process.

A row is `{"surgery", "text"}` and what is expected of it; each is a session of its own. What comes before the
utterance: `phase` is the phase it is said in, `prior` are lines said earlier. `match` says how the toggles are
compared; standby counts as off:

- exact: just `expect_on` and `expect_off`, nothing else; so it is if something is expected and no match is named
- contains: at least these
- absent: none of `expect_absent`, or no toggle at all if that is missing; so it is if nothing is expected (chatter)
- any_off: at least one machine off, of `expect_off` if given

Compared too, where given: `expect_standby` and `expect_deferred` (just these with exact, else at least these),
`expect_unknown` (each in the words of a device that was named as unknown, or the other way round) and `expect_phase`
(the phase afterwards).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from benchmarks.eval.files import Place, read_bytes
from pipeline.errors import ConfigError
from pipeline.messages import Line, MachineId, Name
from pipeline.messages.fields import check_text
from stages.surgery import Surgery

Match = Literal["exact", "contains", "absent", "any_off"]
Half = Literal["tune", "report"]
Ids = tuple[MachineId, ...]
BOM = b"\xef\xbb\xbf"


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """One row. None (or null): not given, not compared. Other keys are notes, but for those that begin with expect."""

    surgery: str
    text: Line
    id: str | int = ""
    speaker: Name = "unknown"
    phase: str = ""
    prior: tuple[Line, ...] = ()
    match: Match | None = None
    expect_on: Ids | None = None
    expect_off: Ids | None = None
    expect_standby: Ids | None = None
    expect_absent: Ids | None = None
    expect_deferred: Ids | None = None
    expect_unknown: tuple[Annotated[str, Meta(min_length=1)], ...] | None = None
    expect_phase: str | None = None
    category: str = ""
    half: Half | None = None

    def __post_init__(self) -> None:
        check_text(text=self.text, speaker=self.speaker, prior="\n".join(self.prior))

    @property
    def expects(self) -> bool:
        """Whether anything is said of what it does."""
        return any(getattr(self, field) is not None for field in EXPECTATIONS)

    @property
    def way(self) -> Match:
        """How it is compared."""
        return self.match or ("exact" if self.expects else "absent")

    @property
    def on(self) -> frozenset[str]:
        """The machines expected to be switched on."""
        return frozenset(self.expect_on or ())

    @property
    def off(self) -> frozenset[str]:
        """The machines expected to be switched off, or to standby."""
        return frozenset((*(self.expect_off or ()), *(self.expect_standby or ())))

    @property
    def silent(self) -> bool:
        """Whether nothing at all may be switched by it."""
        if self.way == "absent":
            return self.expect_absent is None
        return self.way == "exact" and not (self.on or self.off)


EXPECTATIONS = tuple(name for name in Utterance.__struct_fields__ if name.startswith("expect_"))


def read_utterances(path: Path, surgeries: Mapping[str, Surgery], half: Half | None) -> list[Utterance]:
    """The rows of `path`, or of one half of them. Raises ConfigError, also if there is none."""
    rows = []
    for number, line in enumerate(read_bytes(path).removeprefix(BOM).splitlines(), 1):
        if line.strip():
            rows.append(_row(Place(path, number), line, number, surgeries))
    chosen = [row for row in rows if half in (None, row.half)]
    if not chosen:
        raise ConfigError(f"{path}: no row of half {half!r} in it" if rows else f"{path}: no row in it")
    return chosen


def _row(place: Place, line: bytes, number: int, surgeries: Mapping[str, Surgery]) -> Utterance:
    fields = {key: value for key, value in place.decode(line).items() if value is not None}
    for key in fields:
        if key.startswith("expect") and key not in EXPECTATIONS:
            raise place.error(key, fields[key], f"no such field; there are {', '.join(EXPECTATIONS)}")
    row = place.convert(fields, Utterance)
    surgery = place.surgery(surgeries, row.surgery)
    for field in ("expect_on", "expect_off", "expect_standby", "expect_absent", "expect_deferred"):
        place.check_machines(surgery, field, getattr(row, field) or ())
    for field in ("phase", "expect_phase"):
        place.check_phases(surgery, field, filter(None, [getattr(row, field)]))
    return msgspec.structs.replace(
        row,
        id=str(number if row.id == "" else row.id),
        surgery=surgery.surgery,
        category=row.category or ("other" if row.expects else "chatter"),
    )
