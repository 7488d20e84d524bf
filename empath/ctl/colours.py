"""
What states and replies look like, wherever they are shown.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from rich.text import Text

from empath.observe.logs.escaping import escaped

OF_STATE: Final = MappingProxyType(
    {
        "completed": "green",
        "pending": "cyan",
        "in-progress": "bold cyan",
        "retry": "yellow",
        "held": "magenta",
        "failed": "red",
        "expired": "red",
        "in-flight": "bold cyan",
        "waiting": "yellow",
        "ended": "dim",
        "closed": "green",
        "half-open": "yellow",
        "open": "bold red",
        "accept": "green",
        "refuse": "red",
        "tempfail": "yellow",
        "disconnect": "red",
        "discard": "magenta",
    }
)
STATES: Final = ("pending", "in-progress", "retry", "held", "failed", "expired", "completed")
"""
The contract's words for a delivery's status, in the order in which an operator looks at them.
"""


def plain(text: str, style: str = "") -> Text:
    """
    Give text as it is, whoever wrote it: no markup is read in it, and nothing in it reaches the terminal's ears.
    """
    return Text(escaped(text), style)


def reply(text: str) -> Text:
    """
    Give what a peer said, its lines after one another.
    """
    words = " ".join(text.split())
    style = {"2": "green", "4": "yellow", "5": "red"}.get(words[:1], "") if words[:3].isdigit() else ""
    return plain(words, style)


def state(word: str) -> Text:
    """
    Give a state in its colour.
    """
    return plain(word, OF_STATE.get(word, ""))


def address(mailbox: str) -> Text:
    """
    Give a mailbox in angle brackets, the null reverse-path as <>.
    """
    return plain(f"<{mailbox}>")


def joined(*parts: Text | str, by: str = ", ") -> Text:
    """
    Put those parts together that are not empty.
    """
    return Text(by).join(Text(part) if isinstance(part, str) else part for part in parts if len(part))
