"""`python -m docs.reference`: write the generated pages into docs/, where they differ."""

import sys

from docs.reference import configuration, messages
from docs.reference.fields import Undescribed
from docs.reference.pages import DOCS

PAGES = {DOCS / "messages.md": messages.page, DOCS / "configuration.md": configuration.page}

if __name__ == "__main__":
    for path, page in PAGES.items():
        try:
            text = page()
        except Undescribed as error:
            sys.exit(f"reference: {error}")
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path}")
