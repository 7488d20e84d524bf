"""
Readers of where the control socket is, who may ask, and where records go.
"""

from __future__ import annotations

import re
from typing import Final

from empath.config.names import host_and_port
from empath.config.units import Folder
from empath.config.values import Refused, Surroundings, folder

FACILITIES: Final = (  # RFC 5424 §6.2.1, table 1, in its order, as syslog.conf calls them
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "security", "console", "solaris-cron"),
    *(f"local{number}" for number in range(8)),
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NAMESPACE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_LONGEST: Final = 200  # characters of a namespace
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")


def optional_folder(value: object, around: Surroundings) -> Folder:
    """
    Read a path as `folder` does; "" is none.
    """
    return Folder("") if value == "" else folder(value, around)


def token_name(value: object, _: Surroundings) -> str:
    """
    Read what the holder of a token is called in the audit trail.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refused('a name of letters, digits and ".", "_", "-", "@", such as "ops"')
    return value


def sha256(value: object, _: Surroundings) -> str:
    """
    Read the hash of a token; it comes out in lower case. What is refused is not shown: it may be the token itself.
    """
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise Refused("the SHA-256 of a token, as 64 hexadecimal digits", "something else")
    return value.lower()


def optional_sha256(value: object, around: Surroundings) -> str:
    """
    Read the hash of a token as `sha256` does; "" is none.
    """
    return "" if value == "" else sha256(value, around)


def is_namespace(text: str) -> bool:
    """
    Tell whether this may be the name of what logs.
    """
    return len(text) <= _LONGEST and _NAMESPACE.fullmatch(text) is not None


def namespace(value: object, _: Surroundings) -> str:
    """
    Read the name of what logs: a module of ours, or of anybody's, or a package.
    """
    if not isinstance(value, str) or not is_namespace(value):
        raise Refused('the dotted name of a module or package, such as "empath.dns"')
    return value


def syslog_address(value: object, around: Surroundings) -> str:
    """
    Read where a syslog server is: "unix:/dev/log", or a transport with a host and its port.
    """
    allowed = '"unix:/dev/log", or "udp:", "tcp:" or "tls:" before host:port, such as "tls:logs.example.org:6514"'
    transport, colon, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    if transport == "unix" and place.startswith("/") and place.isprintable():
        return f"unix:{place}"
    if transport not in ("udp", "tcp", "tls") or not colon:
        raise Refused(allowed)
    try:
        found = host_and_port(place, around)
    except Refused as trouble:
        raise Refused(allowed) from trouble
    if not found.rpartition("]")[2].partition(":")[2]:
        raise Refused(f"{allowed}: the port is needed")
    return f"{transport}:{found}"
