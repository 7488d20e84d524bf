"""
The parameters of MAIL and RCPT: what each extension adds, its syntax, and how it is handed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import attrs

from empath.errors import CommandRefused
from empath.mail.address import UTF8_CHARACTER
from empath.mail.reply import Reply
from empath.mail.wish import REQUIRE_TLS
from empath.mail.xtext import decode_xtext, is_xtext
from empath.smtp.extension import Extension
from empath.smtp.grammar import read_parameters

SYNTAX: Final = Reply.of("501 5.5.4 syntax error in arguments")
UNKNOWN_PARAMETER: Final = Reply.of("555 5.5.4 parameter not recognized")
TOO_LATE: Final = Reply.of("501 5.5.4 the message would be held for too long")

MAX_ENVID: Final = 100  # characters (RFC 3461 §4.4)
MAX_ORCPT: Final = 500  # characters (RFC 3461 §4.2)
MAX_AUTH: Final = 500  # octets by which AUTH= lengthens MAIL (RFC 4954 §3)

_SIZE: Final = re.compile(r"[0-9]{1,20}")
_BY: Final = re.compile(r"([+-]?[0-9]{1,9});([NR]T?)")
_HOLD_FOR: Final = re.compile(r"[1-9][0-9]{0,8}")
_HOLD_UNTIL: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_PRIORITY: Final = re.compile(r"0|-?[1-9]")
_ADDRESS_TYPE: Final = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,50}")  # an atom that an esmtp-value can hold
_PRINTABLE: Final = re.compile(r"[ -~]+")
_UTF8_ADDRESS: Final = re.compile(  # RFC 6533 §3: ASCII but "+", "=" and "\", characters as \x{HEX}, or as they are
    rf"(?:[!-*,-<>-\[\]-~]|\+(?!7F)[2-9A-F][0-9A-F]|\\x\{{[0-9A-F]{{2,6}}\}}|{UTF8_CHARACTER})+"
)
_UNESCAPED: Final = re.compile(rf"(?:[!-~]|{UTF8_CHARACTER})+")
_SHOWN: Final = re.compile(rf"[ -~]|{UTF8_CHARACTER}")
_ESCAPED: Final = re.compile(r"[^!-*,-<>-\[\]-~]")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_REPORTS: Final = ("SUCCESS", "FAILURE", "DELAY")


@attrs.frozen(slots=True)
class Parameter:
    """
    The `extension` that makes a keyword known, and what reads its value ("" for none; ValueError if it is wrong).
    """

    extension: Extension
    read: Callable[[str], str]


def mail_parameters(text: str, extensions: Collection[Extension], max_hold: int) -> dict[str, str]:
    """
    Read the parameters of MAIL; a message may be held for at most `max_hold` seconds (RFC 4865 §4).
    """
    parameters = _read(text, extensions, _OF_MAIL)
    if parameters.get("BODY") == "BINARYMIME" and Extension.BINARY not in extensions:
        raise CommandRefused(UNKNOWN_PARAMETER)
    held = parameters.get("HOLDFOR")
    if held is not None:
        if "HOLDUNTIL" in parameters:
            raise CommandRefused(SYNTAX)
        if int(held) > max_hold:
            raise CommandRefused(TOO_LATE)
    return parameters


def rcpt_parameters(text: str, extensions: Collection[Extension], utf8: bool) -> dict[str, str]:
    """
    Read the parameters of RCPT; `utf8`: MAIL had SMTPUTF8, so that they need not be ASCII.
    """
    if not utf8 and not text.isascii():
        raise CommandRefused(SYNTAX)
    return _read(text, extensions, _OF_RCPT)


def _read(text: str, extensions: Collection[Extension], known: Mapping[str, Parameter]) -> dict[str, str]:
    try:
        parameters = read_parameters(text)
    except ValueError:
        raise CommandRefused(SYNTAX) from None
    for keyword, value in parameters.items():
        parameter = known.get(keyword)
        if parameter is None or parameter.extension not in extensions:
            raise CommandRefused(UNKNOWN_PARAMETER)
        try:
            parameters[keyword] = parameter.read(value)
        except ValueError:
            raise CommandRefused(SYNTAX) from None
    return parameters


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    """
    Make a reader of what matches.
    """

    def read(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise ValueError("does not match")
        return value

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    """
    Make a reader of some words, in any case of letters.
    """

    def read(value: str) -> str:
        word = _upper(value)
        if word not in words:
            raise ValueError("none of the words")
        return word

    return read


def _upper(value: str) -> str:
    """
    Give ASCII in upper case; other letters might become ASCII by it.
    """
    if not value.isascii():
        raise ValueError("not ASCII")
    return value.upper()


def _nothing(value: str) -> str:
    """
    Read a parameter that has no value.
    """
    if value:
        raise ValueError("takes no value")
    return value


def _xtext(value: str, longest: int) -> str:
    """
    Read xtext of so many characters that holds printable ASCII (RFC 3461 §4).
    """
    if len(value) > longest or not is_xtext(value) or _PRINTABLE.fullmatch(decode_xtext(value)) is None:
        raise ValueError("no xtext")
    return value


def _envid(value: str) -> str:
    return _xtext(value, MAX_ENVID)


def _auth(value: str) -> str:
    """
    Read AUTH= (RFC 4954 §5).
    """
    return value if value == "<>" else _xtext(value, MAX_AUTH)


def _by(value: str) -> str:
    """
    Read BY= (RFC 2852 §4); what is to be returned at a deadline cannot have one that is past.
    """
    match = _BY.fullmatch(_upper(value))
    if match is None or (int(match[1]) <= 0 and match[2].startswith("R")):
        raise ValueError("no deadline")
    return f"{int(match[1])};{match[2]}"


def _hold_until(value: str) -> str:
    """
    Read HOLDUNTIL=: a date and time of RFC 3339 (RFC 4865 §4, erratum 2040).
    """
    date = _upper(value)
    if _HOLD_UNTIL.fullmatch(date) is None:
        raise ValueError("no date")
    datetime.fromisoformat(date)
    return date


def _notify(value: str) -> str:
    """
    Read NOTIFY= (RFC 3461 §4.1): NEVER stands alone.
    """
    words = dict.fromkeys(_upper(value).split(","))
    if list(words) != ["NEVER"] and not all(word in _REPORTS for word in words):
        raise ValueError("no condition")
    return ",".join(words)


def _orcpt(value: str) -> str:
    """
    Read ORCPT= (RFC 3461 §4.2); the address need not be of its type's syntax, but it must be printable.
    """
    kind, semicolon, address = value.partition(";")
    if len(value.encode()) > MAX_ORCPT or not semicolon or _ADDRESS_TYPE.fullmatch(kind) is None:
        raise ValueError("no original recipient")
    kind = kind.lower()
    if kind == "utf-8":
        _check_utf8_address(address)
    elif kind == "rfc822" and is_xtext(address) and not decode_xtext(address).isascii():
        return f"utf-8;{_utf8_in_ascii(decode_xtext(address))}"
    else:
        _xtext(address, MAX_ORCPT)
    return f"{kind};{address}"


def _utf8_in_ascii(octets: str) -> str:
    """
    Give an address whose UTF-8 was written as xtext, as Postfix does, the form that RFC 6533 §3 has for it.
    """
    address = octets.encode("latin-1").decode()
    if _UNESCAPED.fullmatch(address) is None:
        raise ValueError("no printable address")
    return _ESCAPED.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def _check_utf8_address(address: str) -> None:
    """
    Refuse what is no address of type utf-8, or hides in hexadecimal what it may not show: line ends, for one, which
    would be read as such where a report is written.
    """
    if _UTF8_ADDRESS.fullmatch(address) is None:
        raise ValueError("no address of type utf-8")
    for code in _EMBEDDED.findall(address):
        if _SHOWN.fullmatch(chr(int(code, 16))) is None:  # beyond Unicode, chr raises ValueError
            raise ValueError("no printable address")


_OF_MAIL: Final = MappingProxyType(
    {
        "SIZE": Parameter(Extension.SIZE, _matching(_SIZE)),  # RFC 1870 §3
        "BODY": Parameter(Extension.EIGHT_BIT, _one_of("7BIT", "8BITMIME", "BINARYMIME")),  # RFC 6152 §3, RFC 3030 §3
        "SMTPUTF8": Parameter(Extension.UTF8, _nothing),  # RFC 6531 §3.4
        "RET": Parameter(Extension.DSN, _one_of("FULL", "HDRS")),  # RFC 3461 §4.3
        "ENVID": Parameter(Extension.DSN, _envid),
        "AUTH": Parameter(Extension.AUTH, _auth),
        "BY": Parameter(Extension.DELIVER_BY, _by),
        "HOLDFOR": Parameter(Extension.FUTURE_RELEASE, _matching(_HOLD_FOR)),  # RFC 4865 §4
        "HOLDUNTIL": Parameter(Extension.FUTURE_RELEASE, _hold_until),
        "MT-PRIORITY": Parameter(Extension.PRIORITY, _matching(_PRIORITY)),  # RFC 6710 §5
        REQUIRE_TLS: Parameter(Extension.REQUIRE_TLS, _nothing),  # RFC 8689 §2
    }
)
_OF_RCPT: Final = MappingProxyType(
    {"NOTIFY": Parameter(Extension.DSN, _notify), "ORCPT": Parameter(Extension.DSN, _orcpt)}
)
