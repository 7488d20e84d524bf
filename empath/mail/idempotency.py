"""
Idempotency keys: a client that does not know whether its message was taken sends it again under the same key, and none
of its recipients gets it twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.header import Header
from empath.mail.origin import Origin

FIELD: Final = "Idempotency-Key"
MOST: Final = 255  # characters of a key
MOST_MESSAGES: Final = 100  # under one key, each for other recipients
_LOOK: Final = FIELD.lower().encode()
_FIELDS: Final = re.compile(
    rb"^" + _LOOK + rb"[ \t]*:.*\n?(?:[ \t].*\n?)*", re.IGNORECASE | re.MULTILINE
)  # as Header's
_KEY: Final = re.compile(rf"[!-~]{{1,{MOST}}}")
_DIGEST: Final = 16  # octets that stand for a recipient


@attrs.frozen(slots=True)
class Claim:
    """
    What a message under a key takes for itself, on the disk with the message, until a time (seconds since the epoch):
    `digest` stands for key, sender and who vouches for it, `recipients` are those that `digests_of` makes.
    """

    digest: bytes
    recipients: bytes
    until: float


@attrs.frozen(slots=True)
class Accepted:
    """
    A message that was accepted under a key, with the digests of its recipients.
    """

    queue_id: str
    recipients: bytes


def take_key(header: bytes) -> tuple[bytes, str]:
    """
    Give a header block without the field Idempotency-Key, and what it said; "" without such a field. ValueError, with
    what a client can be told, for a key that is none: it is empty, too long, not of printable ASCII without blanks, or
    there are two.
    """
    if _LOOK not in header.lower():
        return header, ""
    fields = tuple(_FIELDS.finditer(header))
    if not fields:
        return header, ""
    if len(fields) > 1:
        raise ValueError(f"more than one {FIELD}")
    key = Header(fields[0][0]).get(FIELD) or ""
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"{FIELD} must be 1 to {MOST} printable ASCII characters without blanks")
    return header[: fields[0].start()] + header[fields[0].end() :], key


def claimed(origin: Origin, reverse_path: Address | None, key: str) -> bytes:
    """
    Tell what stands for a key of mail from one sender: what others say under the same key is something else. All
    trusted clients that did not log in are one.
    """
    mailbox = "" if reverse_path is None else _mailbox(reverse_path)
    return hashlib.sha256("\0".join((str(origin), mailbox, key)).encode("utf-8", "surrogatepass")).digest()


def digests_of(recipients: Iterable[Recipient]) -> bytes:
    """
    Put together what stands for each of these recipients.
    """
    return b"".join([_digest(recipient.address) for recipient in recipients])


def divide(
    recipients: Iterable[Recipient], accepted: Iterable[Accepted]
) -> tuple[list[Recipient], list[Recipient], str]:
    """
    Tell which recipients are left, which were accepted before, and with which message first ("": there are none).
    """
    accepted = tuple(accepted)
    known: dict[bytes, int] = {}
    for number, each in enumerate(accepted):
        for at in range(0, len(each.recipients), _DIGEST):
            known.setdefault(each.recipients[at : at + _DIGEST], number)
    left: list[Recipient] = []
    had: list[Recipient] = []
    first = len(accepted)
    for recipient in recipients:
        at = known.get(_digest(recipient.address), -1)
        if at < 0:
            left.append(recipient)
        else:
            had.append(recipient)
            first = min(first, at)
    return left, had, accepted[first].queue_id if had else ""


def _digest(address: Address) -> bytes:
    return hashlib.sha256(_mailbox(address).encode("utf-8", "surrogatepass")).digest()[:_DIGEST]


def _mailbox(address: Address) -> str:
    return f"{address.local}@{address.domain}"
