"""
Who wants reports about TLS (RFC 8460 §3): the TXT record below a domain, and where it has them sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from empath.mail.address import Address, parse_address, parse_domain

OWNER: Final = "_smtp._tls."  # goes before the domain
MOST_ENDPOINTS: Final = 10  # of one domain; the rest gets nothing
LONGEST_URL: Final = 1000

_BLANKS: Final = " \t"
_FIELD: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<-~][ -:<-~]*+"  # of a value only rua has blanks, or another "="
_RECORD: Final = re.compile(rf"v=TLSRPTv1(?:[ \t]*+;[ \t]*+{_FIELD})++(?:[ \t]*+;)?[ \t]*+")
_OF_TLS_RPT: Final = re.compile(r"v=TLSRPTv1[ \t]*+;")
_PERCENT: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_HTTPS: Final = re.compile(
    r"(?i:https)://(?P<host>[A-Za-z0-9.-]{1,255})(?::(?P<port>[0-9]{1,5}))?(?:[/?][!$-;=?-Z_a-z~%]*)?"
)


@attrs.frozen(slots=True)
class Web:
    """
    A place that takes reports by POST: its URL as it was given, the host in lower case and the port in it.
    """

    url: str
    host: str
    port: int = 443


Endpoint = Address | Web


def endpoints_of(texts: Iterable[str]) -> tuple[Endpoint, ...]:
    """
    Read the TXT records at `_smtp._tls`: mailboxes and URLs, each once; none unless just one record is of TLSRPT, and
    it is as the grammar says.

    What is no `mailto:` or `https:` is passed over, as is all behind the "?" of a `mailto:`.
    """
    found = [text for text in texts if _OF_TLS_RPT.match(text) is not None]
    if len(found) != 1 or _RECORD.fullmatch(found[0]) is None:
        return ()
    endpoints: dict[Endpoint, None] = {}
    for field in found[0].split(";")[1:]:
        name, _, value = field.strip(_BLANKS).partition("=")
        if name == "rua":
            for uri in value.split(","):
                endpoint = _endpoint(uri.strip(_BLANKS))
                if endpoint is not None:
                    endpoints[endpoint] = None
    return tuple(endpoints)[:MOST_ENDPOINTS]


def _endpoint(uri: str) -> Endpoint | None:
    scheme, _, rest = uri.partition(":")
    try:
        match scheme.lower():
            case "mailto":
                return parse_address(_PERCENT.sub(lambda found: chr(int(found[1], 16)), rest.partition("?")[0]))
            case "https":
                return _web(uri)
            case _:
                return None
    except ValueError:
        return None


def _web(url: str) -> Web:
    """
    Read an HTTPS URL that names a host, and nobody's password.
    """
    match = _HTTPS.fullmatch(url)
    if match is None or len(url) > LONGEST_URL:
        raise ValueError("no HTTPS URL")
    port = int(match["port"] or 443)
    if not 0 < port < 65536:
        raise ValueError("no port")
    return Web(url, parse_domain(match["host"]), port)
