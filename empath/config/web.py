"""
Readers of what HTTP and header blocks need: URLs, the names of fields and what stands in them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from empath.config.names import domain_name
from empath.config.values import Refused, Surroundings, secret, shown

_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}")  # RFC 9110 §5.1, narrower than RFC 5322 §2.2
_LONGEST_URL: Final = 2000
_SET_BY_US: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "content-type", "te", "trailer", "upgrade", "expect"}
    | {"accept-encoding", "content-encoding", "webhook-id", "webhook-timestamp", "webhook-signature"}
    | {"x-empath-envelope", "x-empath-queue-id", "x-empath-attempt"}
)


def hook_url(value: object, _: Surroundings) -> str:
    """
    Read an HTTPS URL; plain HTTP is for hosts on this machine. A login in it would end up in logs.
    """
    allowed = 'an URL such as "https://hooks.example.org/mail", or with http:// on this machine only'
    if not isinstance(value, str):
        raise Refused(allowed)
    found = _without_secrets(value)
    if not (value.isascii() and value.isprintable()) or " " in value or len(value) > _LONGEST_URL:
        raise Refused(allowed, found)
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" or (parts.scheme == "http" and is_here(parts.hostname or ""))
        _check_authority(parts)
    except ValueError as trouble:
        raise Refused(allowed, found) from trouble
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{allowed}, without a login (headers can have one)", "one with a login")
    if not usable or "#" in value:
        raise Refused(allowed, found)
    return value


def collector_url(value: object, _: Surroundings) -> str:
    """
    Read the URL of an OTLP collector, without what OTLP adds to it (/v1/logs); it may be plain HTTP, as collectors are
    in one's own network. A login in it would end up in logs.
    """
    allowed = 'an URL such as "http://localhost:4318" or "https://otlp.example.org"'
    if not isinstance(value, str):
        raise Refused(allowed)
    found = _without_secrets(value)
    if not (value.isascii() and value.isprintable()) or set(" ?#") & set(value) or len(value) > _LONGEST_URL:
        raise Refused(allowed, found)
    try:
        parts = urlsplit(value)
        _check_authority(parts)
    except ValueError as trouble:
        raise Refused(allowed, found) from trouble
    if parts.scheme not in ("http", "https") or parts.username is not None or parts.password is not None:
        raise Refused(allowed, found)
    return value.rstrip("/")


def optional_collector_url(value: object, around: Surroundings) -> str:
    """
    Read the URL of a collector as `collector_url` does; "" is none.
    """
    return "" if value == "" else collector_url(value, around)


def _without_secrets(url: str) -> str:
    """
    Write an URL down for an error line: what stands before an "@", and behind a "?", may be a secret.
    """
    plain, query, _ = url.partition("?")
    return 'one with an "@"' if "@" in plain else shown(f"{plain}?…" if query else plain)


def is_here(host: str) -> bool:
    """
    Tell whether a host, a name or an IP address, can only be this machine (RFC 6761 §6.3).
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.removesuffix(".").lower() == "localhost"


def field_name(value: object, _: Surroundings) -> str:
    """
    Read the name of a mail header field; it comes out in lower case.
    """
    if not isinstance(value, str) or not _FIELD_NAME.fullmatch(value):
        raise Refused('the name of a header field, such as "Subject"')
    return value.lower()


def request_header(value: object, _: Surroundings) -> str:
    """
    Read the name of an HTTP header field that requests may be given; it comes out in lower case.
    """
    if not isinstance(value, str) or not _FIELD_NAME.fullmatch(value) or value.lower() in _SET_BY_US:
        raise Refused('the name of a header field that we do not set ourselves, such as "Authorization"')
    return value.lower()


def request_value(value: object, around: Surroundings) -> str:
    """
    Read what stands in an HTTP header field, as a secret: it may well be one.
    """
    found = secret(value, around)
    if not found.isascii() or found != found.strip():
        raise Refused("printable ASCII without blanks at its ends", "something else")
    return found


def _check_authority(parts: SplitResult) -> None:
    """
    Raise ValueError for a host or a port that cannot be.
    """
    host = parts.hostname or ""
    if parts.port == 0:
        raise ValueError("port 0 is none")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        domain_name(host)
