"""
How text that strangers chose is shown: it can neither forge a line nor drive a terminal.
"""

from __future__ import annotations

import re
from typing import Final

_SUSPECT: Final = re.compile(r"[^ -~]")


def escaped(text: str) -> str:
    r"""
    Write each character that is not printable as `\n`, `\x07`, `\u2028`: line ends, controls, direction overrides.
    """
    if text.isprintable():
        return text
    return _SUSPECT.sub(lambda found: found[0] if found[0].isprintable() else ascii(found[0])[1:-1], text)
