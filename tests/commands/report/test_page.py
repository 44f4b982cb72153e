"""The page of a case: it needs nothing else, and what was said is only ever text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.eval.truth import PhaseStart, Truth
from commands.report.case import read_case
from commands.report.judged import judge
from commands.report.lines import marked
from commands.report.markup import Element, clock, element, written
from commands.report.page import dictionary, page
from stages.surgery import Surgery

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)"> & suction on \'"'
VOID = {"meta", "input"}


class Parsed(HTMLParser):
    """The elements of a page as a browser's parser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def parsed(journal: Path, surgeries: dict[str, Surgery]) -> Parsed:
    case = read_case(journal)
    truth = Truth(surgery="PCNL", initial_on=("M01", "M05"), machines=(), phases=(PhaseStart("Phase1", 0.0),))
    return Parsed(page(case, surgeries, {1: judge(case.sessions[0], surgeries["PCNL"], truth)}))


def test_words_of_the_room_and_of_the_model_are_text_whatever_is_in_them(parsed: Parsed) -> None:
    assert (parsed.tags.count("script"), parsed.tags.count("img"), parsed.tags.count("b") > 0) == (1, 0, True)
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert sum(HOSTILE in text for text in parsed.texts) == 4  # said, refused, a reason, an error
    assert parsed.texts.count("<img src=x onerror=alert(3)>") == 2  # a speaker, an operator
    assert "<b>because</b>" in parsed.texts
    assert "suggests: <i>tip</i>" in parsed.texts
    assert parsed.open == []


def test_it_asks_for_nothing_and_says_so_to_the_browser(parsed: Parsed) -> None:
    leads = [value for name, value in parsed.attributes if name in ("src", "href", "action", "data", "srcset")]
    assert leads
    assert all(value.startswith("#") for value in leads)
    (policy,) = [value for name, value in parsed.attributes if name == "content" and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "style" not in {name for name, _ in parsed.attributes}
    style = "".join(parsed.texts)
    assert not re.search(r"https?:|@import|url\((?!#)", style)


def test_each_sign_leads_to_a_line_that_is_there_and_names_are_used_once(parsed: Parsed) -> None:
    names = [value for name, value in parsed.attributes if name == "id"]
    leads = {value[1:] for name, value in parsed.attributes if name == "href"}
    assert len(names) == len(set(names))
    assert leads <= set(names)
    assert {"line-1-1", "line-1-3"} <= leads


def test_it_shows_who_moved_what_outages_restarts_and_right_and_wrong(parsed: Parsed) -> None:
    text = "\n".join(parsed.texts)
    for shown in (
        "0:10 M06 ON by rule: “turn on the suction”, wrong",
        "M07 on, by override, 1:00 to 1:40",
        "M06 on standby, 1:20 to 1:40",
        "degraded: stage_crashed, 0:40 to 1:00",
        "the prompt process was started again",
        "ON M07 Lithotripter, by override",
        "phase Phase3 Access & Tract Creation, by model",
        "none: stage_crashed",
        "(the rules: OFF)",
        "true: on, 0:00 to 1:40",
        "wrong: the truth is another, 0:10 to 1:40",
        "20.0 % of the time",
    ):
        assert shown in text, shown
    assert "mark" in parsed.tags


def test_a_surgery_that_is_not_known_here_has_its_ids_for_names(journal: Path) -> None:
    case = read_case(journal)
    surgery = dictionary(case.sessions[0], {})
    assert [machine.id for machine in surgery.machines] == [f"M0{number}" for number in range(1, 10)]
    assert "M06 M06" in page(case, {}, {})


@pytest.mark.parametrize(
    ("text", "heard", "shown"),
    [
        ("Turn, on the Suction!", [["turn on the suction"]], ["", "Turn, on the Suction", "!"]),
        ("Suction on, camera on.", [["camera on"], ["suction on"]], ["", "Suction on", ", ", "camera on", "."]),
        ("It's on", [["flush it", "on"]], ["It's ", "on", ""]),
        ("unsuctioned", [["suction"]], ["unsuctioned"]),
        ("a.b (c", [["a.b (c", ""]], ["", "a.b (c", ""]),
        ("nothing of it", [["..."], [], ["x"]], ["nothing of it"]),
        ("one two three", [["one two"], ["two three"]], ["", "one two", " three"]),
    ],
)
def test_the_words_that_were_heard_are_marked(text: str, heard: list[list[str]], shown: list[str]) -> None:
    parts = list(marked(text, heard))
    assert [part.text if isinstance(part, Element) else part for part in parts] == shown
    assert all((place % 2 == 1) == isinstance(part, Element) for place, part in enumerate(parts))


def test_what_no_page_may_have_is_replaced_and_the_rest_escaped() -> None:
    assert written(element("p", "a<b\x00\ud800&", title='"<x')) == (
        '<!DOCTYPE html>\n<p title="&quot;<x">a&lt;b\ufffd\ufffd&amp;</p>\n'
    )
    assert [clock(t) for t in (0, 59.9, 61, 3723)] == ["0:00", "0:59", "1:01", "1:02:03"]
