"""
What was decided about a message on its way in, and by whom: the record that stays with it.
"""

from __future__ import annotations

from typing import Final

import attrs

MOST: Final = 100  # decisions that are kept of one session or message


@attrs.frozen(slots=True)
class Decision:
    """
    One opinion of one module at one hook.

    `verdict` is "accept", "refuse", "disconnect", "discard", or "error" for a module that failed; `reply` is the reply
    that went with it, `why` the module's reason, both maybe "". `shadow`: it was recorded and not enforced.
    """

    hook: str
    module: str
    verdict: str
    reply: str = ""
    why: str = ""
    shadow: bool = False
