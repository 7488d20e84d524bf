"""
What was decided about a message on its way in, and by whom: the record that stays with it.
"""

from __future__ import annotations

from typing import Final

import attrs

MOST: Final = 100  # decisions that are kept of one session or message
LONGEST: Final = 1000  # characters of a reply or a reason


def brief(text: object) -> str:
    """
    Keep the beginning of a text, as it can be stored.
    """
    brief = str(text)[:LONGEST]
    return brief if brief.isascii() else brief.encode("utf-8", "replace").decode()


@attrs.frozen(slots=True)
class Decision:
    """
    One opinion of one module at one hook.

    `verdict` is "accept", "refuse", "disconnect", "discard", or "error" for a module that failed; `reply` is the reply
    that went with it, `why` the module's reason; both may be "", and are cut where they are long. `shadow`: it was
    recorded and not enforced.
    """

    hook: str
    module: str
    verdict: str
    reply: str = attrs.field(default="", converter=brief)
    why: str = attrs.field(default="", converter=brief)
    shadow: bool = False
