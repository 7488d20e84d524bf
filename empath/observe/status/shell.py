"""
The page itself: one static document, which brings its style and its script along and may load nothing else.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from importlib.resources import files
from typing import Final

from empath.observe.web.page import Page

SCRIPTS: Final = ("words.js", "charts.js", "tables.js", "page.js")  # in this order
_POLICY: Final = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def make_shell() -> Page:
    """
    Put it together of the files beside this module.
    """
    script = "\n".join(_read(name) for name in SCRIPTS)
    parts = {"style": _read("page.css"), "script": f'(() => {{\n"use strict";\n{script}}})();'}
    document = _read("page.html")
    for name, content in parts.items():
        document = document.replace(f"/*{name}*/", content)
    policy = _POLICY.format(**{name: _hash(content) for name, content in parts.items()})
    return Page(200, "text/html; charset=utf-8", document.encode(), {"content-security-policy": policy})


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    """
    Hash what stands between two tags, as CSP Level 3 §2.3.1 wants it.
    """
    return base64.b64encode(sha256(content.encode()).digest()).decode()
