"""
Listings as one JSON document, written page by page: a million rows need no more memory than one page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TextIO

import attrs
from msgspec import json

_DRIVING: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def masked(text: str) -> str:
    """
    Write, in a JSON text, what would drive a terminal as escapes: those of C1, direction overrides, separators of
    lines. It means the same.
    """
    return text if text.isascii() else _DRIVING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
    return masked(json.encode(value).decode())
