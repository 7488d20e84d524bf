"""
What a greylist knows mail by: the client's network, the reverse-path without what changes from mail to mail, the
forward-path.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from empath.modules import Address

TRIPLET: Final = "t"
CLIENT: Final = "c"
_SEPARATOR: Final = "\t"  # no address has one
_REWRITTEN: Final = re.compile(r"(srs[01])[=+-].*=([^=]+=[^=]*)")  # SRS: hash and time are before domain and local part
_TAGGED: Final = re.compile(r"(prvs|btv1)=[^=]*=(.*)")  # BATV
_PARTS: Final = re.compile(r"([-+=_.]+)")
_DIGIT: Final = re.compile(r"\d")


def client_network(peer: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """
    Give the network of a client: large senders try again from another host of the same one.
    """
    if ipv4_prefix == 24 and ":" not in peer:  # the usual one, without `ipaddress`, which takes ten times as long
        return f"{peer.rpartition('.')[0]}.0/24"
    address = ip_address(peer.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((int(address), ipv6_prefix), strict=False))
        address = address.ipv4_mapped
    return str(ip_network((int(address), ipv4_prefix), strict=False))


def sender_key(path: Address | None) -> str:
    """
    Give a reverse-path, "<>" for the null one. What numbers each mail (VERP, BATV, SRS, the ids of mailing programs) is
    taken out: of the parts of the local part each that has a digit becomes "#".
    """
    if path is None:
        return "<>"
    local = path.local.lower()
    if (match := _REWRITTEN.fullmatch(local)) is not None:
        return f"{match[1]}={match[2]}@{path.domain}"
    if (match := _TAGGED.fullmatch(local)) is not None:
        local = match[2]
    parts = ["#" if _DIGIT.search(part) else part for part in _PARTS.split(local)]
    return f"{''.join(parts)}@{path.domain}"


def triplet_key(network: str, sender: Address | None, recipient: Address) -> str:
    """
    Give the key of mail from a network, by a sender, for a recipient.
    """
    path = f"{recipient.local.lower()}@{recipient.domain}"
    return _SEPARATOR.join((TRIPLET, network, sender_key(sender), path))


def client_key(network: str) -> str:
    """
    Give the key of a network by itself.
    """
    return _SEPARATOR.join((CLIENT, network))
