"""
Listings as one JSON document, written page by page: a million rows need no more memory than one page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

import attrs
from msgspec import json


def write_pages(out: TextIO, pages: Iterable[Any], rows: str) -> None:
    """
    Write pages as the one page that all of them together are: the field `rows` holds everything, the others are those
    of the last one. Nothing is written before the first page came; when a later one does not, what is written is no
    complete document.
    """
    before, page = f"{{\n  {_json(rows)}: [\n    ", None
    for page in pages:
        for row in getattr(page, rows):
            out.write(before + _json(row))
            before = ",\n    "
    if page is None:
        raise ValueError("a listing has at least one page")
    out.write("\n  ]" if before == ",\n    " else f"{{\n  {_json(rows)}: []")
    for field in attrs.fields(type(page)):
        if field.name != rows:
            out.write(f",\n  {_json(field.name)}: {_json(getattr(page, field.name))}")
    out.write("\n}\n")


def _json(value: object) -> str:
    return json.encode(value).decode()
