"""The documentation's machinery: the generated reference pages, and what becomes of a page when it is built."""
