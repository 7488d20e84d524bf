"""
What a server session tells the edge that feeds it.

Hello, MailFrom, RcptTo, DataBegun and ContentEnded wait for an answer; the others only tell.
"""

from __future__ import annotations

from enum import Enum

import attrs

from empath.mail.address import Address
from empath.mail.reply import Reply


class Verb(Enum):
    """
    The commands that are understood (RFC 5321 §4.1.1).
    """

    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
    VRFY = "VRFY"
    HELP = "HELP"

    __hash__ = object.__hash__  # by identity: Enum's own is a Python call, and every command looks its verb up


class Ending(Enum):
    """
    Why the session itself ends the connection.
    """

    QUIT = "quit"
    ERRORS = "errors"
    LIMIT = "limit"
    FOREIGN = "foreign"  # the client does not speak SMTP


@attrs.frozen(slots=True)
class Hello:
    """
    EHLO (`extended`) or HELO: `name` is what the client calls itself, printable ASCII. A transaction is over.
    """

    name: str
    extended: bool


@attrs.frozen(slots=True)
class MailFrom:
    """
    MAIL: a transaction may begin. Keywords are in upper case; `declared_size` is 0 without SIZE=.
    """

    reverse_path: Address | None
    parameters: dict[str, str]
    declared_size: int = 0


@attrs.frozen(slots=True)
class RcptTo:
    """
    RCPT: `route` is the source route "@a,@b" that stood before the address, else "" (RFC 5321 appendix C).
    """

    address: Address
    parameters: dict[str, str]
    route: str = ""


@attrs.frozen(slots=True)
class DataBegun:
    """
    DATA: the content follows if this is accepted.
    """


@attrs.frozen(slots=True)
class HeaderBlock:
    """
    The header block, up to and with the line end of its last field; `hops` is the number of Received fields in it.
    """

    data: bytes
    hops: int


@attrs.frozen(slots=True)
class ContentChunk:
    """
    The next piece of the body, which begins with the empty line after the header block.
    """

    data: bytes


@attrs.frozen(slots=True)
class ContentEnded:
    """
    The final dot was read. `size` counts header block and body in bytes, `eight_bit` tells of bytes ≥ 128.

    `bare_newline`: a CR or an LF stood alone somewhere, and the content from there on was passed over; then
    the others say nothing.
    """

    size: int
    eight_bit: bool
    bare_newline: bool


@attrs.frozen(slots=True)
class Reset:
    """
    RSET was answered: the transaction, if any, is over.
    """


@attrs.frozen(slots=True)
class Refused:
    """
    The session refused a command by itself; `verb` is "" where none was understood.
    """

    verb: str
    reply: Reply


@attrs.frozen(slots=True)
class Closed:
    """
    The last reply is in the output: send it and close. `reply` is what ends the session, None for QUIT.
    """

    ending: Ending
    reply: Reply | None = None


Content = HeaderBlock | ContentChunk | ContentEnded
Event = Hello | MailFrom | RcptTo | DataBegun | Content | Reset | Refused | Closed
