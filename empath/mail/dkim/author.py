"""
Whose domain a message is of: that of its author (RFC 5322 §3.6.2).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.address import parse_address
from empath.mail.dkim.fields import Field

LONGEST: Final = 16384  # octets of a field; nobody writes one that is longer to be understood
_ODD: Final = "surrogateescape"  # what is no UTF-8 may stand in a name
_TOKEN: Final = re.compile(r'\\.?|["(),<>:;]|[^\\"(),<>:;]+', re.DOTALL)


def author_domain(fields: tuple[Field, ...]) -> str | None:
    """
    Tell the domain of a message's author, as `Address.domain` has it: that of the one address in its only From field,
    or, where From has several, of the one in its only Sender field. None where that cannot be told for sure.
    """
    authors = _mailboxes(fields, b"from")
    if authors is not None and len(authors) > 1:
        authors = _mailboxes(fields, b"sender")
    if authors is None or len(authors) != 1:
        return None
    try:
        return parse_address(authors[0].encode(errors=_ODD).decode(), utf8=True).domain
    except ValueError:  # as UnicodeDecodeError is, too
        return None


def _mailboxes(fields: tuple[Field, ...], name: bytes) -> list[str] | None:
    """
    Give the addresses in the one field of a name; None if there is not one, or it cannot be read.
    """
    found = [field for field in fields if field.name == name]
    if len(found) != 1 or len(found[0].raw) > LONGEST:
        return None
    try:
        return addresses_in(found[0].value.decode(errors=_ODD))
    except ValueError:
        return None


@attrs.define(slots=True)
class _Mailbox:
    """
    One mailbox on its way: the `text` outside of angle brackets, and what stands in them.
    """

    text: str = ""
    angle: str | None = None
    open: bool = False
    closed: bool = False

    def put(self, token: str) -> None:
        """
        Take what is neither a comment nor a delimiter.
        """
        if self.open:
            self.angle = (self.angle or "") + token
        elif self.closed and token.strip():
            raise ValueError("something follows the angle brackets")
        else:
            self.text += token

    def bracket(self, token: str) -> None:
        """
        Take an angle bracket.
        """
        begins = token == "<"
        if (self.open or self.closed) if begins else not self.open:
            raise ValueError("angle brackets that do not fit")
        self.open, self.closed = begins, not begins
        if begins:
            self.angle = ""

    def address(self) -> str:
        """
        Give the address.
        """
        if self.open:
            raise ValueError("an angle bracket stays open")
        return (self.text if self.angle is None else self.angle).strip()


def addresses_in(value: str) -> list[str]:
    """
    Give the addresses in a list of mailboxes (RFC 5322 §3.4); ValueError for what is none: groups and routes, too.
    """
    mailboxes = [_Mailbox()]
    depth, quoted = 0, False
    for token in _TOKEN.findall(value):
        if token == '"' and not depth:
            quoted = not quoted
        if token in ("(", ")") and not quoted:
            depth += 1 if token == "(" else -1
            if depth < 0:
                raise ValueError("a comment ends that has not begun")
        elif not depth:
            _take(mailboxes, token, quoted)
    if depth or quoted:
        raise ValueError("a comment or a quoted string does not end")
    return [mailbox.address() for mailbox in mailboxes]


def _take(mailboxes: list[_Mailbox], token: str, quoted: bool) -> None:
    """
    Take a token that is not in a comment.
    """
    mailbox = mailboxes[-1]
    if quoted or token == '"':
        mailbox.put(token)
    elif token in ("<", ">"):
        mailbox.bracket(token)
    elif token == "," and not mailbox.open:
        mailboxes.append(_Mailbox())
    elif token in (",", ":", ";"):
        raise ValueError("a group or a route")
    else:
        mailbox.put(token)
