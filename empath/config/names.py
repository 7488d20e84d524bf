"""
Readers of names on the network: domains, hosts with ports, networks, addresses.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

from empath.config.values import Refused, Surroundings

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST: Final = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?", re.ASCII)
_DOTTED_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_PATH: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_MODULE: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")  # what modules and pools are called
_SELECTOR: Final = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*", re.ASCII)  # RFC 6376 §3.1
_PLACEHOLDER: Final = re.compile(r"\{hostname\}")
_WIDEST: Final = {4: 8, 6: 16}
STRATEGIES: Final = ("smtp", "lmtp", "webhook", "maildir", "file", "discard")


def domain_name(value: object) -> str:
    """
    Give a domain in lower case with A-labels (RFC 5891); ValueError if it is none.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a domain name is a text")
    name = value.removesuffix(".").lower()
    if not name.isascii():
        name = idna.encode(name, uts46=True).decode("ascii")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("not a domain name")
    return name


def domain(value: object, _: Surroundings) -> str:
    """
    Read a domain name, such as "example.org".
    """
    try:
        return domain_name(value)
    except ValueError as trouble:
        raise Refused('a domain name, such as "example.org"') from trouble


def domain_pattern(value: object, _: Surroundings) -> str:
    """
    Read a key of [delivery.domains]: "example.org", "*.example.org" (what lies below it) or "*".
    """
    if value == "*":
        return "*"
    wanted = str(value)
    try:
        return "*." * wanted.startswith("*.") + domain_name(wanted.removeprefix("*."))
    except ValueError as trouble:
        raise Refused('a domain, "*.suffix" or "*"') from trouble


def host_and_port(value: object, _: Surroundings) -> str:
    """
    Read "host[:port]", where an IPv6 address stands in brackets; a domain comes out with A-labels.
    """
    allowed = 'host[:port], such as "localhost:2525", "192.0.2.1" or "[2001:db8::1]:25"'
    match = _HOST.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[2] or 25) <= 65535:
        raise Refused(allowed)
    try:
        host = _host(match[1])
    except ValueError as trouble:
        raise Refused(allowed) from trouble
    return f"{host}:{match[2]}" if match[2] else host


def _host(written: str) -> str:
    """
    Check a host: an IPv4 address, an IPv6 address in brackets, or a name.
    """
    if written.startswith("["):
        return f"[{ipaddress.IPv6Address(written[1:-1])}]"
    try:
        return str(ipaddress.IPv4Address(written))
    except ValueError:
        return domain_name(written)


def name_server(value: object, around: Surroundings) -> str:
    """
    Read a DNS server, "address[:port]": a name would need the very server that it names.
    """
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else ""
    except ValueError:
        pass
    try:
        server = host_and_port(value, around)
        if not server.startswith("["):
            ipaddress.IPv4Address(server.partition(":")[0])
    except ValueError as trouble:
        raise Refused('an IP address and perhaps a port, such as "192.0.2.1" or "[2001:db8::1]:53"') from trouble
    return server


def ip_address(value: object, _: Surroundings) -> str:
    """
    Read an IP address; "" is none.
    """
    if value == "":
        return ""
    try:
        return _address(value)
    except ValueError as trouble:
        raise Refused('an IP address, such as "192.0.2.1", or ""') from trouble


def plain_ip_address(value: object, _: Surroundings) -> str:
    """
    Read an IP address.
    """
    try:
        return _address(value)
    except ValueError as trouble:
        raise Refused('an IP address, such as "192.0.2.1" or "2001:db8::1"') from trouble


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an address is a text")
    return str(ipaddress.ip_address(value))


def network(value: object, _: Surroundings) -> str:
    """
    Read a network that is trusted, or "unix" for the peers of UNIX sockets.

    A network wider than /8 (IPv6: /16) is refused: whoever trusts it trusts the Internet.
    """
    if value == "unix":
        return "unix"
    try:
        if not isinstance(value, str):
            raise ValueError("a network is a text")
        found = ipaddress.ip_network(value)
    except ValueError as trouble:
        hint = f" ({trouble})" if "host bits" in str(trouble) else ""
        raise Refused(f'a network such as "192.0.2.0/24" or "2001:db8::/32", an address, or "unix"{hint}') from trouble
    if found.prefixlen < _WIDEST[found.version]:
        raise Refused(f"a network no wider than /{_WIDEST[found.version]}")
    return str(found)


def network_or_trusted(value: object, around: Surroundings) -> str:
    """
    Read a network, or "trusted" for all that may relay.
    """
    if value == "trusted":
        return "trusted"
    try:
        return network(value, around)
    except Refused as trouble:
        raise Refused(f'{trouble.allowed}, or "trusted"') from trouble


def banner(value: object, _: Surroundings) -> str:
    """
    Read the text of the greeting; its only placeholder is {hostname}.
    """
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable()) or len(value) > 400:
        raise Refused("a text of printable ASCII, of 1 to 400 characters")
    if {"{", "}"} & set(_PLACEHOLDER.sub("", value)):
        raise Refused("a text whose only placeholder is {hostname}")
    return value


def mailbox(value: object, around: Surroundings) -> str:
    """
    Read a plain mail address, such as "postmaster@example.org"; "" is none.
    """
    if value == "":
        return ""
    local, at, host = value.rpartition("@") if isinstance(value, str) else ("", "", "")
    if not at or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", local):
        raise Refused('a mail address, such as "postmaster@example.org"')
    return f"{local}@{domain(host, around)}"


def present_mailbox(value: object, around: Surroundings) -> str:
    """
    Read a plain mail address.
    """
    if value == "":
        raise Refused('a mail address, such as "postmaster@example.org"')
    return mailbox(value, around)


def optional_domain(value: object, around: Surroundings) -> str:
    """
    Read a domain name; "" is none.
    """
    return "" if value == "" else domain(value, around)


def optional_dotted_name(value: object, _: Surroundings) -> str:
    """
    Read the name of something in a Python module, such as "mypackage.logins:Directory"; "" is none.
    """
    if value != "" and not (isinstance(value, str) and _DOTTED_NAME.fullmatch(value)):
        raise Refused('a dotted name, such as "mypackage.logins:Directory"')
    return str(value)


def factory(value: object, _: Surroundings) -> str:
    """
    Read what makes a module: a dotted name, or the name of one that is built in or installed.
    """
    if not isinstance(value, str) or not any(each.fullmatch(value) for each in (_DOTTED_NAME, _PATH, _MODULE)):
        raise Refused('a dotted name, such as "mypackage.policy:NoMondayMail", or the name of a built-in module')
    return value


def strategy(value: object, _: Surroundings) -> str:
    """
    Read a way to deliver: one that is built in, or the dotted name of what makes one.
    """
    if value in STRATEGIES:
        return str(value)
    if not isinstance(value, str) or not (_DOTTED_NAME.fullmatch(value) or _PATH.fullmatch(value)):
        known = " | ".join(f'"{name}"' for name in STRATEGIES)
        raise Refused(f'{known}, or a dotted name, such as "mypackage.delivery:Courier"')
    return value


def selector(value: object, _: Surroundings) -> str:
    """
    Read the selector of a DKIM key; it comes out in lower case.
    """
    if not isinstance(value, str) or len(value) > 63 or not _SELECTOR.fullmatch(value.lower()):
        raise Refused('the selector of a key, such as "s2026"')
    return value.lower()


def module(value: object, _: Surroundings) -> str:
    """
    Read what a module is called; "" leaves it its own name.
    """
    return _own_name(value, "block-list")


def pool(value: object, _: Surroundings) -> str:
    """
    Read what a pool of addresses is called; "" is none.
    """
    return _own_name(value, "bulk-mail")


def _own_name(value: object, example: str) -> str:
    if value != "" and not (isinstance(value, str) and _MODULE.fullmatch(value)):
        raise Refused(f'a name of lower-case letters, digits and "-", such as "{example}"')
    return str(value)
