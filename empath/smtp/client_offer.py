"""
What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.reply import Reply

_DIGITS: Final = 20  # RFC 1870 §4; the other numbers are shorter
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,5}")  # RFC 9422 §4


@attrs.frozen(slots=True)
class Offer:
    """
    The keywords that matter to us. `size` says whether SIZE= may be declared, `max_size` the limit in bytes (0: none
    announced, RFC 1870 §3). `binary` is never without `chunking` (RFC 3030 §3). `deliver_by` is the least BY= in
    seconds that is taken (0: any), None where the server does not know it (RFC 2852 §3). `max_recipients` of a
    transaction and `max_messages` of a session are from LIMITS (RFC 9422; 0: none announced). RCPTDOMAINMAX says
    nothing to us, who send to one domain at a time. `require_tls` counts only over TLS (RFC 8689 §2).
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
    require_tls: bool = False


NOTHING: Final = Offer()


def read_offer(reply: Reply) -> Offer:
    """
    Read the reply to EHLO; keywords and parameters that make no sense are passed over.
    """
    words = [line.upper().split() for line in reply.lines[1:]]
    keywords = {line[0]: line[1:] for line in words if line}
    limits = dict(limit.partition("=")[::2] for limit in keywords.get("LIMITS", ()))
    return Offer(
        pipelining="PIPELINING" in keywords,
        starttls="STARTTLS" in keywords,
        eight_bit="8BITMIME" in keywords,
        size="SIZE" in keywords,
        max_size=_number(_first(keywords.get("SIZE"))),
        mechanisms=_mechanisms(words),
        chunking="CHUNKING" in keywords,
        binary="CHUNKING" in keywords and "BINARYMIME" in keywords,
        utf8="SMTPUTF8" in keywords,
        dsn="DSN" in keywords,
        auth="AUTH" in keywords,
        priorities="MT-PRIORITY" in keywords,
        deliver_by=_number(_first(keywords["DELIVERBY"])) if "DELIVERBY" in keywords else None,
        max_recipients=_limit(limits.get("RCPTMAX", "")),
        max_messages=_limit(limits.get("MAILMAX", "")),
        require_tls="REQUIRETLS" in keywords,
    )


def _mechanisms(words: list[list[str]]) -> frozenset[str]:
    """
    Collect the mechanisms of AUTH, and of the "AUTH=" that some servers say for clients older than RFC 2554.
    """
    named = [line for line in words if line and (line[0] == "AUTH" or line[0].startswith("AUTH="))]
    first = [line[0][5:] for line in named if len(line[0]) > len("AUTH=")]
    return frozenset([*first, *(name for line in named for name in line[1:])])


def _first(parameters: list[str] | None) -> str:
    return parameters[0] if parameters else ""


def _number(text: str) -> int:
    """
    Read a number, 0 where there is none.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def _limit(text: str) -> int:
    """
    Read a limit; one that makes no sense is none (RFC 9422 §3.7).
    """
    return int(text) if _LIMIT.fullmatch(text) else 0
