"""
Listings as one JSON document, written page by page: a million rows need no more memory than one page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from msgspec import json


def write_pages(out: TextIO, pages: Iterable[Any], rows: str) -> None:
    """
    Write pages as the one page that all of them together are: the field `rows` holds everything, `after` is that of
    the last one. What is written when a page fails to come is no complete document.
    """
    out.write(f"{{\n  {_json(rows)}: [")
    before, after = "\n    ", ""
    for page in pages:
        for row in getattr(page, rows):
            out.write(before + _json(row))
            before = ",\n    "
        after = page.after
    end = "\n  " if before != "\n    " else ""
    out.write(f'{end}],\n  "after": {_json(after)}\n}}\n')


def _json(value: object) -> str:
    return json.encode(value).decode()
