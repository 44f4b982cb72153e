"""Makes a text fit to be published: on one line, visible, bounded. Runs in the parse process."""

from collections.abc import Iterable


def clean(text: str, most: int) -> str:
    """`text` without characters that cannot be seen, every space a single one, at most `most` characters."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " * c.isspace() for c in text)
    return clip(" ".join(text.split()), most)


def clip(text: str, most: int) -> str:
    """At most `most` characters of `text`; an ellipsis shows that there was more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def distinct(texts: Iterable[str]) -> list[str]:
    """The texts in their order, without those that say a former one again in other letter cases."""
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(text.casefold(), text)
    return list(first.values())
