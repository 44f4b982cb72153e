"""HTML and SVG as elements: what is text stays text, whatever is in it, because the serialiser escapes it."""

import re
from xml.etree import ElementTree

Element = ElementTree.Element
Child = Element | str | None
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element with its children in order. `class_` is the attribute `class`, `http_equiv` is
    `http-equiv`; None leaves an attribute out."""
    named = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
    made = Element(tag, {name: plain(str(value)) for name, value in named.items() if value is not None})
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif child is not None and last is None:
            made.text = (made.text or "") + plain(child)
        elif child is not None and last is not None:
            last.tail = (last.tail or "") + plain(child)
    return made


def plain(text: str) -> str:
    """The text without characters that no page may have."""
    return _UNWRITABLE.sub("\ufffd", text)


def written(root: Element) -> str:
    """A whole page."""
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def clock(t: float) -> str:
    """Message time as a person reads it: 1:02:03, or 2:03."""
    minutes, seconds = divmod(int(t), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
