"""
What is said of a recipient that is on the suppression list.
"""

from __future__ import annotations

from typing import Final

from empath.mail.reply import Reply

_SAID: Final = "the address is on the suppression list here: "
_LONGEST: Final = 200  # characters of a reason: a reply has 512 octets (RFC 5321 §4.5.3.1.5)
_STATUS: Final = {"bad-mailbox": "5.1.1", "inactive-mailbox": "5.1.1", "bad-domain": "5.1.2"}


def refusal_of(why: str) -> Reply:
    """
    Make the refusal: an address that failed is refused as its host did (RFC 3463 §3.2), any other by our policy.
    """
    status = _STATUS.get(why, "5.7.1")
    return Reply.heard(550, [f"{status} {_SAID}{why[:_LONGEST] or 'unknown'}"])


def is_refusal(reply: Reply | None) -> bool:
    """
    Tell whether a reply is such a refusal.
    """
    return reply is not None and reply.lines[0].startswith(_SAID)
