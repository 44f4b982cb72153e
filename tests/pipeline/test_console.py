"""What a person sees of long work, by where it is shown."""

import io
import re
import threading
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from pipeline.console import Bar, console
from pipeline.journal import JournalWriter, read_all
from pipeline.progress import FRAME_BYTES, Reading


class Terminal(io.StringIO):
    """Standard error, as if somebody sat there."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def work(bar: Bar) -> None:
    for done in range(101):
        bar(done, 100)
    bar.say("[a] line that stays")


def test_on_a_terminal_a_bar_tells_how_far_it_is_and_how_long_it_lasts(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Bar("copying [/x]", still=True) as bar:
        work(bar)
    assert re.search(r"copying \[/x\].*\D50%.*\d:\d\d:\d\d", terminal.getvalue())
    assert "[a] line that stays" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_where_no_colours_are_wanted_a_line_tells_each_tenth(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with redirect_stderr(terminal), Bar("copying") as bar:
        work(bar)
    lines = terminal.getvalue().splitlines()
    assert [line.partition(" %")[0] for line in lines[:-1]] == [f"copying: {10 * tenth}" for tenth in range(1, 11)]
    assert re.fullmatch(r"copying: 10 %, \d+\.\d s left", lines[0])
    assert lines[-2:] == ["copying: 100 %", "[a] line that stays"]
    assert "\x1b" not in terminal.getvalue()


def test_where_no_terminal_is_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("copying") as bar:
        work(bar)
    assert capsys.readouterr() == ("", "[a] line that stays\n")


def test_a_still_bar_does_nothing_while_time_is_measured(terminal: Terminal) -> None:
    before = threading.active_count()
    with redirect_stderr(terminal), Bar("measuring", 2, still=True) as bar:
        assert threading.active_count() == before
        shown = len(terminal.getvalue())
        bar.advance()
        assert len(terminal.getvalue()) > shown


def test_styles_are_left_out_where_no_colours_are_wanted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with redirect_stderr(terminal):
        console(stderr=True).print("[bold red]DEGRADED[/]")
        monkeypatch.setenv("NO_COLOR", "1")
        console(stderr=True).print("[bold red]DEGRADED[/]")
    assert terminal.getvalue() == "\x1b[1;31mDEGRADED\x1b[0m\nDEGRADED\n"


def test_reading_tells_bytes_of_all_files_and_never_more(tmp_path: Path) -> None:
    files = [tmp_path / "a-1.mcap", tmp_path / "a-2.mcap"]
    for file in files:
        writer = JournalWriter(file)
        for _ in range(300):
            writer.write("X", b"12345")
        writer.close()
    size = sum(file.stat().st_size for file in files)
    told: list[tuple[int, int]] = []
    reading = Reading(files, lambda done, total: told.append((done, total)))
    assert sum(len(list(reading.of(read_all(file)))) for file in files) > 600
    assert told[0] == (0, size)
    assert told[1] == (256 * (FRAME_BYTES + 5), size)
    assert size / 2 < told[-1][0] <= size
