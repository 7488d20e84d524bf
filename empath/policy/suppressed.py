"""
What is said of a recipient that is on the suppression list.
"""

from __future__ import annotations

from typing import Final

from empath.mail.reply import Reply

_STATUS: Final = {"bad-mailbox": "5.1.1", "inactive-mailbox": "5.1.1", "bad-domain": "5.1.2"}


def refusal_of(why: str) -> Reply:
    """
    Make the refusal: an address that failed is refused as its host did (RFC 3463 §3.2), any other by our policy.
    """
    status = _STATUS.get(why, "5.7.1")
    return Reply.heard(550, [f"{status} the address is on the suppression list here: {why or 'unknown'}"])
