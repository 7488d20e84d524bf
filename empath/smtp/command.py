"""
Command lines and what they mean: verbs, their arguments, and the replies to those that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from empath.errors import CommandRefused
from empath.mail.address import USUAL_ADDRESS, Address, usual_address
from empath.mail.reply import Reply
from empath.smtp.events import Hello, MailFrom, RcptTo, Verb
from empath.smtp.extension import Extension
from empath.smtp.grammar import is_name, read_forward_path, read_reverse_path, split_path
from empath.smtp.parameters import SYNTAX, mail_parameters, rcpt_parameters

UNKNOWN: Final = Reply.of("500 5.5.2 command not recognized")
NOT_OFFERED: Final = Reply.of("502 5.5.1 command not implemented")
NOT_LMTP: Final = Reply.of("503 5.5.1 this is SMTP, not LMTP")
NOT_SMTP: Final = Reply.of("500 5.5.1 this is LMTP, not SMTP")
BAD_SENDER: Final = Reply.of("501 5.1.7 bad sender address syntax")
BAD_RECIPIENT: Final = Reply.of("501 5.1.3 bad recipient address syntax")
NEEDS_UTF8: Final = Reply.of("553 5.6.7 non-ASCII addresses need SMTPUTF8")
FOREIGN: Final = Reply.of("421 4.7.0 this is SMTP, goodbye")

_KNOWN: Final = frozenset(
    ("STARTTLS", "AUTH", "BURL", "EXPN", "TURN", "ATRN", "ETRN", "SEND", "SOML", "SAML", "XFORWARD")
)
_HTTP: Final = frozenset(("GET", "POST", "CONNECT", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PRI"))
_HEADER_FIELD: Final = re.compile(r"[!-9;-~]++:")
_VISIBLE: Final = re.compile(r"[ -~]*")
_USUAL_MAIL: Final = re.compile(rf"(?i:FROM):<{USUAL_ADDRESS}>")  # one match instead of three, for most commands
_USUAL_RCPT: Final = re.compile(rf"(?i:TO):<{USUAL_ADDRESS}>")
_UTF8_PARAMETER: Final = re.compile(r"(.*\S) +(?i:SMTPUTF8) *")


class ForeignProtocol(CommandRefused):
    """
    The line is none of SMTP's but of HTTP's, or a header field: another protocol is being pushed through us.
    """


def split_line(line: bytes, verbs: Mapping[str, Verb]) -> tuple[Verb, str]:
    """
    Split a line into one of the `verbs` and its argument; CommandRefused with the reply for one that we do not do.

    A byte that is not UTF-8 becomes a surrogate, which no argument may hold.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("utf-8", "surrogateescape")
    word, _, argument = text.partition(" ")
    verb = verbs.get(word)
    if verb is None:
        word = word.upper() if word.isascii() else ""  # other letters might become ASCII by it
        verb = verbs.get(word)
        if verb is None:
            raise _not_ours(word)
    return verb, argument


def check_bare(argument: str) -> None:
    """
    Refuse an argument to a command that takes none; spaces are no argument (RFC 5321 §4.1.1).
    """
    if argument.strip(" "):
        raise CommandRefused(SYNTAX)


def check_visible(argument: str) -> None:
    """
    Refuse an argument that cannot be printed.
    """
    if _VISIBLE.fullmatch(argument) is None:
        raise CommandRefused(SYNTAX)


def check_vrfy(argument: str, extensions: Collection[Extension]) -> None:
    """
    Refuse VRFY with an argument that cannot be printed, with none, or with UTF-8 but no SMTPUTF8 (RFC 6531 §3.7.4.2).
    """
    asked = _UTF8_PARAMETER.fullmatch(argument) if Extension.UTF8 in extensions else None
    who = (argument if asked is None else asked[1]).strip(" ")
    if not who or not who.isprintable():
        raise CommandRefused(SYNTAX)
    if asked is None and not who.isascii():
        raise CommandRefused(NEEDS_UTF8 if Extension.UTF8 in extensions else SYNTAX)


def read_hello(argument: str, extended: bool) -> Hello:
    """
    Read the argument of EHLO, LHLO or HELO.
    """
    name = argument.strip(" ")
    if not is_name(name):
        raise CommandRefused(SYNTAX)
    return Hello(name, extended)


def read_mail(argument: str, extensions: Collection[Extension], max_hold: int = 0) -> MailFrom:
    """
    Read the argument of MAIL; only parameters of `extensions` are known. `max_hold` as `mail_parameters` has it.
    """
    usual = _USUAL_MAIL.fullmatch(argument)
    if usual is not None and (address := usual_address(*usual.groups())) is not None:
        return MailFrom(address, {})
    path, rest = _path_after("FROM:", argument, BAD_SENDER)
    try:
        reverse_path = read_reverse_path(path, Extension.UTF8 in extensions)
    except ValueError:
        raise CommandRefused(BAD_SENDER) from None
    parameters = mail_parameters(rest, extensions, max_hold) if rest else {}
    if reverse_path is not None:
        _check_ascii(reverse_path, "SMTPUTF8" in parameters)
    return MailFrom(reverse_path, parameters, int(parameters.get("SIZE", "0")))


def read_rcpt(argument: str, extensions: Collection[Extension], utf8: bool = False) -> RcptTo:
    """
    Read the argument of RCPT; only parameters of `extensions` are known. `utf8`: MAIL had SMTPUTF8.
    """
    usual = _USUAL_RCPT.fullmatch(argument)
    if usual is not None and (address := usual_address(*usual.groups())) is not None:
        return RcptTo(address, {})
    path, rest = _path_after("TO:", argument, BAD_RECIPIENT)
    try:
        address, route = read_forward_path(path, Extension.UTF8 in extensions)
    except ValueError:
        raise CommandRefused(BAD_RECIPIENT) from None
    _check_ascii(address, utf8)
    return RcptTo(address, rcpt_parameters(rest, extensions, utf8) if rest else {}, route)


def _check_ascii(address: Address, utf8: bool) -> None:
    """
    Refuse an address that only SMTPUTF8 can carry where the client did not ask for it (RFC 6531 §3.5).
    """
    if not utf8 and not address.text.isascii():
        raise CommandRefused(NEEDS_UTF8)


def _path_after(prefix: str, argument: str, bad: Reply) -> tuple[str, str]:
    if argument[: len(prefix)].upper() != prefix:
        raise CommandRefused(SYNTAX)
    try:
        return split_path(argument[len(prefix) :])
    except ValueError:
        raise CommandRefused(bad) from None


def _not_ours(word: str) -> CommandRefused:
    """
    Say why a first word that is no verb of ours is refused.
    """
    if word in _KNOWN:
        return CommandRefused(NOT_OFFERED)
    if word == "LHLO":  # RFC 2033 §4.1
        return CommandRefused(NOT_LMTP)
    if word in ("EHLO", "HELO"):
        return CommandRefused(NOT_SMTP)
    if word in _HTTP or _HEADER_FIELD.match(word):
        return ForeignProtocol(FOREIGN)
    return CommandRefused(UNKNOWN)
