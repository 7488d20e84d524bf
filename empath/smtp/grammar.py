"""
The grammar of command arguments: paths and ESMTP parameters (RFC 5321 §4.1.2).
"""

from __future__ import annotations

import re
from typing import Final

from empath.mail.address import UTF8_CHARACTER, Address, parse_address, parse_domain

MAX_PATH: Final = 256  # octets with the brackets (RFC 5321 §4.5.3.1.3)

_PATH: Final = re.compile(r' *<((?:[^<>"]++|"(?:[^"\\]++|\\.)*+")*+)>(?: +(.*))?')
_PARAMETER: Final = re.compile(rf"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=((?:[!-<>-~]|{UTF8_CHARACTER})++))?")
_NAME: Final = re.compile(r"[!-~]{1,255}")


def split_path(text: str) -> tuple[str, str]:
    """
    Split what follows "FROM:" or "TO:" into the path without its brackets and the parameters; ValueError if it cannot.

    Spaces before the path are forgiven, as everybody forgives them; missing brackets are not.
    """
    match = _PATH.fullmatch(text)
    if match is None or len(match[1].encode("utf-8", "surrogateescape")) + 2 > MAX_PATH:
        raise ValueError("no path")
    return match[1], match[2] or ""


def read_reverse_path(path: str, utf8: bool = False) -> Address | None:
    """
    Read the path of MAIL; a source route before the address means nothing any more (RFC 5321 appendix C). `utf8` as
    `parse_address` has it.
    """
    if not path:
        return None
    if path.startswith("@"):
        path = _split_route(path)[1]
    return parse_address(path, utf8)


def read_forward_path(path: str, utf8: bool = False) -> tuple[Address, str]:
    """
    Read the path of RCPT: the address, and the source route before it or "". <Postmaster> needs no domain (§4.5.1).
    """
    if path.lower() == "postmaster":
        return Address(path, "", path), ""
    if path.startswith("@"):
        route, path = _split_route(path)
        return parse_address(path, utf8), route
    return parse_address(path, utf8), ""


def read_parameters(text: str) -> dict[str, str]:
    """
    Read ESMTP parameters, keywords in upper case; ValueError for bad syntax or a keyword that comes twice. Values may
    be UTF-8 (RFC 6531 §3.3): whether one may is for its reader to tell.
    """
    parameters: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise ValueError("no parameter")
        keyword = match[1].upper()
        if keyword in parameters:
            raise ValueError("a parameter comes twice")
        parameters[keyword] = match[2] or ""
    return parameters


def is_name(text: str) -> bool:
    """
    Tell whether a client may call itself that. Neither domain nor address literal is demanded (§4.1.4 forbids to
    refuse mail for a wrong name), only that it can be printed.
    """
    return _NAME.fullmatch(text) is not None


def _split_route(path: str) -> tuple[str, str]:
    """
    Split "@a,@b:user@c" into "@a,@b" and "user@c".
    """
    route, colon, mailbox = path.partition(":")
    if not colon:
        raise ValueError("no mailbox behind the source route")
    for host in route.split(","):
        if not host.startswith("@"):
            raise ValueError("no source route")
        parse_domain(host[1:])
    return route, mailbox
