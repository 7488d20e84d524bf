"""
What a client is told of a message that is not taken.
"""

from __future__ import annotations

from typing import Final

from empath.errors import SpoolFull
from empath.mail.reply import Reply

TOO_LARGE: Final = Reply.of("552 5.3.4 message too large")
TOO_MANY_RECIPIENTS: Final = Reply.of("452 4.5.3 too many recipients")
TOO_MANY_HOPS: Final = Reply.of("554 5.4.6 too many hops, this message loops")
TOO_MANY_COPIES: Final = Reply.of("554 5.6.0 too many messages under one Idempotency-Key")
NUL_IN_HEADER: Final = Reply.of("550 5.6.0 NUL in the header of the message")
BARE_NEWLINE: Final = Reply.of("550 5.5.2 bare CR or LF in the message")
SPOOL_FULL: Final = Reply.of("452 4.3.1 not enough room to store the message")
SPOOL_TROUBLE: Final = Reply.of("451 4.3.0 the message could not be stored, try again later")
LOCAL_ERROR: Final = Reply.of("451 4.3.0 local error, try again later")


def spool_reply(error: BaseException) -> Reply:
    """
    Say what the spool's failure means to the client.
    """
    return SPOOL_FULL if isinstance(error, SpoolFull) else SPOOL_TROUBLE
