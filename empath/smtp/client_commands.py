"""
The commands of a transaction as a client says them: MAIL and RCPT with the parameters that the server knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from empath.mail.address import PRINTABLE
from empath.mail.wish import REQUIRE_TLS
from empath.mail.xtext import escape, original_recipient

if TYPE_CHECKING:
    from empath.mail.envelope import Recipient
    from empath.smtp.client_events import Consignment
    from empath.smtp.client_offer import Offer

_LONGEST_TIME: Final = 999_999_999  # RFC 2852 §4
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def mail_command(
    consignment: Consignment, offer: Offer, *, utf8: bool, authenticated: bool, guarded: bool = False
) -> str:
    """
    Say MAIL, with SIZE where offered and there is content (RFC 1870), BODY only where a byte needs it (RFC 6152,
    RFC 3030), SMTPUTF8 where the content or an address does (`utf8`, RFC 6531), and what else the sender asked for and
    the server offers; REQUIRETLS only where the session is `guarded` (RFC 8689 §2).
    """
    sender = consignment.reverse_path
    further = consignment.parameters or consignment.deliver_by is not None or authenticated
    return (
        f"MAIL FROM:<{'' if sender is None else sender.text}>"
        f"{f' SIZE={consignment.size}' if offer.size and consignment.size else ''}"
        f"{_body(consignment)}{' SMTPUTF8' if utf8 else ''}"
        f"{_further(consignment, offer, authenticated, guarded) if further else ''}\r\n"
    )


def rcpt_command(recipient: Recipient, *, dsn: bool, utf8: bool, untimed: bool = False) -> str:
    """
    Say RCPT; where the server knows DSN, with NOTIFY as it came and always an ORCPT, as Postfix does: the recipient as
    we have it, where the sender gave none (RFC 3461 §5.2.1). A server that was to keep a time and does not know how
    (`untimed`) is at least asked to tell of delays (RFC 2852 §4.1.4.2).
    """
    text = recipient.address.text
    if not dsn:
        return f"RCPT TO:<{text}>\r\n"
    notify = _parameter("NOTIFY", _with_delay(recipient) if untimed else recipient.parameters.get("NOTIFY", ""))
    original = recipient.parameters.get("ORCPT", "") or original_recipient(text)
    if not utf8:
        original = _NOT_ASCII.sub(escape, original)
    return f"RCPT TO:<{text}>{notify}{f' ORCPT={original}' if _sayable(original) else ''}\r\n"


def _with_delay(recipient: Recipient) -> str:
    notify = recipient.parameters.get("NOTIFY", "FAILURE")
    return notify if notify == "NEVER" or "DELAY" in notify else f"{notify},DELAY"


def _body(consignment: Consignment) -> str:
    if consignment.binary:
        return " BODY=BINARYMIME"
    return " BODY=8BITMIME" if consignment.eight_bit else ""


def _further(consignment: Consignment, offer: Offer, authenticated: bool, guarded: bool) -> str:
    """
    Say RET and ENVID (RFC 3461), BY (RFC 2852), MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689) and AUTH, which only a
    server that we logged in to can believe; it must be told, too, that the sender is not known (RFC 4954 §5).
    """
    given = consignment.parameters
    said = ""
    if offer.dsn:
        said = f"{_parameter('RET', given.get('RET', ''))}{_parameter('ENVID', given.get('ENVID', ''))}"
    if consignment.deliver_by is not None and offer.deliver_by is not None:
        seconds, mode = consignment.deliver_by
        said += f" BY={max(-_LONGEST_TIME, min(seconds, _LONGEST_TIME))};{mode}"
    if offer.priorities:
        said += _parameter("MT-PRIORITY", given.get("MT-PRIORITY", ""))
    if guarded and offer.require_tls and REQUIRE_TLS in given:
        said += f" {REQUIRE_TLS}"
    if offer.auth and authenticated:
        said += _parameter("AUTH", given.get("AUTH", "")) or " AUTH=<>"
    return said


def _parameter(keyword: str, value: str) -> str:
    """
    Say a parameter; "" for none, and for a value that is none.
    """
    return f" {keyword}={value}" if value and value.isascii() and _sayable(value) else ""


def _sayable(value: str) -> bool:
    """
    Tell whether a value ends where it seems to (RFC 5321 §4.1.2, esmtp-value).
    """
    return PRINTABLE.fullmatch(value) is not None and " " not in value and "=" not in value
