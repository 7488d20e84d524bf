"""
What docs/configuration.md says of each key: the comments of its TOML, by the path of the key.
"""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def blocks() -> list[str]:
    """
    Give the pieces of TOML, in their order.
    """
    return [block.partition("```")[0] for block in DOCUMENT.read_text().split("```toml\n")[1:]]


def documented() -> dict[str, str]:
    """
    Tell by path what is said of a key, tables of the operator's keys written as `name.*`; "" where nothing is.
    """
    found: dict[str, str] = {}
    section, last = "", ""
    for line in "\n".join(blocks()).splitlines():
        code, _, comment = (part.strip() for part in line.partition("#"))
        if code.startswith("[") and code.endswith("]"):
            section, last = code.strip("[]").replace('."example.org"', ".*") + ".", ""
        elif " = " in code:
            last = section + code.partition(" = ")[0]
            found[last] = comment
        elif comment and not code and last:
            found[last] = f"{found[last]} {comment}"
        else:
            last = ""
    return found
