"""
What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.reply import Reply

_SIZE_DIGITS: Final = 20  # RFC 1870 §4


@attrs.frozen(slots=True)
class Offer:
    """
    The keywords that matter to us. `size` says whether SIZE= may be declared, `max_size` the limit in bytes (0: none
    announced, RFC 1870 §3). `deliver_by` is the least BY= in seconds that is taken (0: any), None where the server does
    not know it (RFC 2852 §3). `max_recipients` of a transaction and `max_messages` of a session are from LIMITS
    (RFC 9422; 0: none announced).
    """

    pipelining: bool = False
    starttls: bool = False
    eight_bit: bool = False
    size: bool = False
    max_size: int = 0
    mechanisms: frozenset[str] = frozenset()
    chunking: bool = False
    binary: bool = False
    utf8: bool = False
    dsn: bool = False
    auth: bool = False
    priorities: bool = False
    deliver_by: int | None = None
    max_recipients: int = 0
    max_messages: int = 0


NOTHING: Final = Offer()


def read_offer(reply: Reply) -> Offer:
    """
    Read the reply to EHLO; keywords and parameters that make no sense are passed over.
    """
    words = [line.upper().split() for line in reply.lines[1:]]
    keywords = {line[0]: line[1:] for line in words if line}
    mechanisms = [name for line in words if line and line[0] == "AUTH" for name in line[1:]]
    for line in words:
        if line and line[0].startswith("AUTH="):  # what some servers say for clients older than RFC 2554
            mechanisms += [line[0].removeprefix("AUTH="), *line[1:]]
    return Offer(
        pipelining="PIPELINING" in keywords,
        starttls="STARTTLS" in keywords,
        eight_bit="8BITMIME" in keywords,
        size="SIZE" in keywords,
        max_size=_limit(keywords.get("SIZE", [])),
        mechanisms=frozenset(mechanisms),
    )


def _limit(parameters: list[str]) -> int:
    """
    Read the parameter of SIZE, 0 where it is none.
    """
    text = parameters[0] if parameters else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _SIZE_DIGITS else 0
