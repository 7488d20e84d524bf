"""
Command lines and what they mean: verbs, their arguments, and the replies to those that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from empath.errors import CommandRefused
from empath.mail.address import USUAL_ADDRESS, usual_address
from empath.mail.reply import Reply
from empath.smtp.events import Hello, MailFrom, RcptTo, Verb
from empath.smtp.extension import Extension
from empath.smtp.grammar import is_name, read_forward_path, read_parameters, read_reverse_path, split_path

UNKNOWN: Final = Reply.of("500 5.5.2 command not recognized")
NOT_OFFERED: Final = Reply.of("502 5.5.1 command not implemented")
NOT_LMTP: Final = Reply.of("503 5.5.1 this is SMTP, not LMTP")
SYNTAX: Final = Reply.of("501 5.5.4 syntax error in arguments")
BAD_SENDER: Final = Reply.of("501 5.1.7 bad sender address syntax")
BAD_RECIPIENT: Final = Reply.of("501 5.1.3 bad recipient address syntax")
UNKNOWN_PARAMETER: Final = Reply.of("555 5.5.4 parameter not recognized")
FOREIGN: Final = Reply.of("421 4.7.0 this is SMTP, goodbye")

_VERBS: Final = {verb.value: verb for verb in Verb}
_KNOWN: Final = frozenset(
    ("STARTTLS", "AUTH", "BDAT", "BURL", "EXPN", "TURN", "ATRN", "ETRN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD")
)
_HTTP: Final = frozenset(("GET", "POST", "CONNECT", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PRI"))
_HEADER_FIELD: Final = re.compile(r"[!-9;-~]++:")
_VISIBLE: Final = re.compile(r"[ -~]*")
_USUAL_MAIL: Final = re.compile(rf"(?i:FROM):<{USUAL_ADDRESS}>")  # one match instead of three, for most commands
_USUAL_RCPT: Final = re.compile(rf"(?i:TO):<{USUAL_ADDRESS}>")
_SIZE: Final = re.compile(r"[0-9]{1,20}")


class ForeignProtocol(CommandRefused):
    """
    The line is none of SMTP's but of HTTP's, or a header field: another protocol is being pushed through us.
    """


def split_line(line: bytes) -> tuple[Verb, str]:
    """
    Split a line into verb and argument; CommandRefused with the reply for one that we do not do.
    """
    word, _, argument = line.decode("latin-1").partition(" ")
    verb = _VERBS.get(word) or _VERBS.get(word.upper())
    if verb is None:
        raise _not_ours(word.upper())
    return verb, argument


def check_bare(argument: str) -> None:
    """
    Refuse an argument to a command that takes none; spaces are no argument (RFC 5321 §4.1.1).
    """
    if argument.strip(" "):
        raise CommandRefused(SYNTAX)


def check_visible(argument: str, needed: bool = False) -> None:
    """
    Refuse an argument that cannot be printed, or the lack of one that is needed.
    """
    if _VISIBLE.fullmatch(argument) is None or (needed and not argument.strip(" ")):
        raise CommandRefused(SYNTAX)


def read_hello(argument: str, extended: bool) -> Hello:
    """
    Read the argument of EHLO or HELO.
    """
    name = argument.strip(" ")
    if not is_name(name):
        raise CommandRefused(SYNTAX)
    return Hello(name, extended)


def read_mail(argument: str, extensions: Collection[Extension]) -> MailFrom:
    """
    Read the argument of MAIL; only parameters of `extensions` are known.
    """
    usual = _USUAL_MAIL.fullmatch(argument)
    if usual is not None and (address := usual_address(*usual.groups())) is not None:
        return MailFrom(address, {})
    path, rest = _path_after("FROM:", argument, BAD_SENDER)
    try:
        reverse_path = read_reverse_path(path)
    except ValueError:
        raise CommandRefused(BAD_SENDER) from None
    if not rest:
        return MailFrom(reverse_path, {})
    parameters = _parameters(rest)
    declared_size = 0
    for keyword, value in parameters.items():
        if keyword == "SIZE" and Extension.SIZE in extensions:
            declared_size = _size(value)
        elif keyword == "BODY" and Extension.EIGHT_BIT in extensions:
            _check_body(value.upper())
        else:
            raise CommandRefused(UNKNOWN_PARAMETER)
    return MailFrom(reverse_path, parameters, declared_size)


def read_rcpt(argument: str) -> RcptTo:
    """
    Read the argument of RCPT; no extension that we offer gives it a parameter.
    """
    usual = _USUAL_RCPT.fullmatch(argument)
    if usual is not None and (address := usual_address(*usual.groups())) is not None:
        return RcptTo(address, {})
    path, rest = _path_after("TO:", argument, BAD_RECIPIENT)
    try:
        address, route = read_forward_path(path)
    except ValueError:
        raise CommandRefused(BAD_RECIPIENT) from None
    if rest and _parameters(rest):
        raise CommandRefused(UNKNOWN_PARAMETER)
    return RcptTo(address, {}, route)


def _path_after(prefix: str, argument: str, bad: Reply) -> tuple[str, str]:
    if argument[: len(prefix)].upper() != prefix:
        raise CommandRefused(SYNTAX)
    try:
        return split_path(argument[len(prefix) :])
    except ValueError:
        raise CommandRefused(bad) from None


def _parameters(text: str) -> dict[str, str]:
    try:
        return read_parameters(text)
    except ValueError:
        raise CommandRefused(SYNTAX) from None


def _size(value: str) -> int:
    """
    Read SIZE= (RFC 1870 §3).
    """
    if _SIZE.fullmatch(value) is None:
        raise CommandRefused(SYNTAX)
    return int(value)


def _check_body(value: str) -> None:
    """
    Check BODY= (RFC 6152 §3); BINARYMIME is known but needs CHUNKING (RFC 3030 §3).
    """
    if value == "BINARYMIME":
        raise CommandRefused(UNKNOWN_PARAMETER)
    if value not in ("7BIT", "8BITMIME"):
        raise CommandRefused(SYNTAX)


def _not_ours(word: str) -> CommandRefused:
    """
    Say why a first word that is no verb of ours is refused.
    """
    if word in _KNOWN:
        return CommandRefused(NOT_OFFERED)
    if word == "LHLO":  # RFC 2033 §4.1
        return CommandRefused(NOT_LMTP)
    if word in _HTTP or _HEADER_FIELD.match(word):
        return ForeignProtocol(FOREIGN)
    return CommandRefused(UNKNOWN)
