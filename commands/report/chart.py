"""What the pictures of a session have in common: message time from left to right, names at the left."""

from collections.abc import Iterable, Iterator
from typing import Final

from commands.report.markup import Child, Element, clock, element
from commands.report.spans import Span

LABELS: Final = 230  # pixels, of the column with names
AXIS: Final = 22
NARROWEST, WIDEST, PER_SECOND = 860, 8000, 1.5
STEPS: Final = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds between times on the axis
BETWEEN: Final = 90  # pixels between them, at least


class Scale:
    """Message time to pixels."""

    def __init__(self, end_s: float) -> None:
        self.end_s = max(end_s, 1.0)
        self.width = min(WIDEST, max(NARROWEST, round(self.end_s * PER_SECOND)))

    def x(self, t: float) -> float:
        """Where that time is."""
        return round(self.width * min(max(t, 0.0), self.end_s) / self.end_s, 1)

    def axis(self, height: float) -> Iterator[Element]:
        """Lines and times, about one each 90 pixels."""
        least = BETWEEN * self.end_s / self.width
        step = next((step for step in STEPS if step >= least), round(least))
        for t in range(0, int(self.end_s) + 1, step):
            yield element("line", class_="grid", x1=self.x(t), x2=self.x(t), y1=AXIS - 4, y2=height)
            yield element("text", clock(t), class_="tick", x=self.x(t) + 2, y=12)


def with_labels(labels: Iterable[Child], picture: Element, height: float) -> Element:
    """A picture that scrolls, beside its names."""
    names = element("svg", *labels, class_="names", width=LABELS, height=height)
    return element("div", names, element("div", picture, class_="scroll", tabindex=0), class_="chart")


def label(y: float, text: str) -> Element:
    """The name of a row that begins at `y`."""
    shown = text if len(text) <= 32 else f"{text[:31]}…"
    return element("text", shown, element("title", text), class_="label", x=LABELS - 8, y=y + 16)


def bar(scale: Scale, y: float, height: float, span: Span, kind: str, title: str, text: str = "") -> Element:
    """A span as a bar with what it means, and with a text if that has room."""
    x, width = scale.x(span.begin), max(2.0, round(scale.x(span.end) - scale.x(span.begin), 1))
    told = element("title", f"{title}, {clock(span.begin)} to {clock(span.end)}")
    shape = element("rect", told, class_=kind, x=x, y=y, width=width, height=height)
    fits = text and width > 7 * len(text) + 8
    return element("g", shape, element("text", text, class_="in", x=x + 4, y=y + height - 2.5) if fits else None)
