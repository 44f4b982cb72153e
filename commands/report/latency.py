"""How long the states of a session took, as a picture. Runs in the command's process."""

from math import log10
from typing import Final

from commands.report.case import Session
from commands.report.chart import AXIS, LABELS, Scale, with_labels
from commands.report.markup import Child, Element, clock, element

HEIGHT: Final = 180
DECADES: Final = (-1, 5)  # of milliseconds: 0.1 ms to 100 s


def latency(session: Session) -> Element:
    """Milliseconds from each input to its states, by rules and model; of those in one pixel the longest."""
    scale, height = Scale(session.end_s), HEIGHT
    longest: dict[tuple[str, int], tuple[float, float]] = {}
    for moment in session.moments:
        if moment.total_ms is not None:
            pixel = moment.by, int(scale.x(moment.t))
            longest[pixel] = max(longest.get(pixel, (0.0, 0.0)), (moment.total_ms, moment.t))
    lines: list[Child] = []
    labels: list[Child] = []
    for decade in range(DECADES[0], DECADES[1] + 1):
        y = _height_of(10.0**decade)
        lines.append(element("line", class_="row", x1=0, x2=scale.width, y1=y, y2=y))
        text = f"{10**decade:g} ms" if decade < 3 else f"{10 ** (decade - 3):g} s"
        labels.append(element("text", text, class_="label", x=LABELS - 8, y=y + 4))
    dots = [
        element(
            "circle",
            element("title", f"{clock(t)}, by {'the rules' if by == 'rule' else 'the model'}: {total:.1f} ms"),
            class_=f"took by-{by}", cx=scale.x(t), cy=_height_of(total), r=2.5,
        )
        for (by, _), (total, t) in longest.items()
    ]  # fmt: skip
    picture = element("svg", *scale.axis(height), *lines, *dots, width=scale.width, height=height, role="img")
    return with_labels(labels, picture, height)


def _height_of(milliseconds: float) -> float:
    low, high = DECADES
    share = (min(max(log10(max(milliseconds, 1e-9)), low), high) - low) / (high - low)
    return round(HEIGHT - 8 - share * (HEIGHT - AXIS - 16), 1)
