"""
What a server session tells the edge that feeds it.

Hello, StartTls, AuthBegun, AuthAnswered, ClientAttributes, MailFrom, RcptTo, DataBegun, ChunkEnded and ContentEnded
wait for an answer; the others only tell.
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
    LHLO = "LHLO"  # RFC 2033 §4.1
    STARTTLS = "STARTTLS"  # RFC 3207
    AUTH = "AUTH"  # RFC 4954
    BDAT = "BDAT"  # RFC 3030
    XCLIENT = "XCLIENT"  # Postfix's XCLIENT_README

    __hash__ = object.__hash__  # by identity: Enum's own is a Python call, and every command looks its verb up


class Ending(Enum):
    """
    Why the session itself ends the connection.
    """

    QUIT = "quit"
    ERRORS = "errors"
    LIMIT = "limit"
    FOREIGN = "foreign"  # the client does not speak SMTP
    INJECTED = "injected"  # cleartext came behind STARTTLS, before the handshake (CVE-2011-0411)


@attrs.frozen(slots=True)
class Hello:
    """
    EHLO, LHLO (both `extended`) or HELO: `name` is what the client calls itself, printable ASCII. A transaction is
    over.
    """

    name: str
    extended: bool


@attrs.frozen(slots=True)
class StartTls:
    """
    STARTTLS: accepted, the 220 is in the output and the session waits for `secured` (or `close`); nothing else may be
    in the input then.
    """


@attrs.frozen(slots=True)
class AuthBegun:
    """
    AUTH with a mechanism (upper case) that is offered: answer with `challenge`, `logged_in` or `refuse`.

    `initial` is the decoded initial response, None where there was none (RFC 4954 §4; "=" is an empty one).
    """

    mechanism: str
    initial: bytes | None


@attrs.frozen(slots=True)
class AuthAnswered:
    """
    The decoded response to a challenge: answer as AuthBegun.
    """

    response: bytes


@attrs.frozen(slots=True)
class ClientAttributes:
    """
    XCLIENT: what a listed proxy says of its client. `values` by attribute name in upper case, xtext decoded; None for
    [UNAVAILABLE] and [TEMPUNAVAIL]. Accepted, the session begins anew with the greeting.
    """

    values: dict[str, str | None]


@attrs.frozen(slots=True)
class MailFrom:
    """
    MAIL: a transaction may begin. Keywords are in upper case, values valid and normalized (BODY, RET in upper case;
    AUTH, ENVID still in xtext); `declared_size` is 0 without SIZE=.
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
    DATA, or the first BDAT: the content follows if this is accepted. `binary`: BODY=BINARYMIME, so that a CR or an LF
    that stands alone is content (RFC 3030 §3).
    """

    binary: bool = False


@attrs.frozen(slots=True)
class ChunkEnded:
    """
    A chunk of BDAT that is not the last was read, `size` bytes long. Refused, it ends the transaction (RFC 3030 §2).
    """

    size: int


@attrs.frozen(slots=True)
class HeaderBlock:
    """
    The header block, up to and with the line end of its last field; `hops` is the number of Received fields in it.
    `nul`: there is a NUL in it, which only content declared BODY=BINARYMIME may have.
    """

    data: bytes
    hops: int
    nul: bool = False


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
    the others say nothing. `binary`: content that was declared BODY=BINARYMIME and needs it, since it holds a CR or an
    LF that stands alone or a NUL.
    """

    size: int
    eight_bit: bool
    bare_newline: bool
    binary: bool = False


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
Event = (
    Hello
    | StartTls
    | AuthBegun
    | AuthAnswered
    | ClientAttributes
    | MailFrom
    | RcptTo
    | DataBegun
    | ChunkEnded
    | Content
    | Reset
    | Refused
    | Closed
)
