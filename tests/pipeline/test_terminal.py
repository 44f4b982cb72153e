"""What a person sees of states."""

from typing import Any

from rich.text import Text

from pipeline.messages import SurgeryState
from pipeline.terminal import Changes


def state(on: list[str], **details: Any) -> SurgeryState:
    contract = {
        "metadata": {"surgery": "PCNL", "phase": "Phase1"},
        "machines": {"0": [], "1": on},
        "details": details,
        "source": "rule",
    }
    return SurgeryState(session="or1", seq=1, t=2.0, based_on=1, outcome="ok", degraded=False, state=contract)


def test_words_in_square_brackets_are_shown_as_they_were_said() -> None:
    changes = Changes()
    changes.lines(state([]))
    toggle = {"machine_id": "M06", "name": "Suction [/] Apparatus", "trigger": "[red]suction[/] [/]"}
    (line,) = changes.lines(state(["M06"], toggles=[toggle]))
    assert "Suction [/] Apparatus: “[red]suction[/] [/]”" in Text.from_markup(line).plain
