"""
Who may send to whom: the relay decision (RFC 5321 §3.6.2).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import attrs

from empath.mail.address import Address, canonical_domain
from empath.mail.reply import Reply
from empath.policy.entries import entries
from empath.policy.mailbox import EVERYBODY, local_key, read_mailboxes
from empath.policy.verdict import Action, Verdict

RELAY_DENIED: Final = Verdict(Action.REFUSE, Reply.of("550 5.7.1 relay access denied"), "relay")
ROUTED: Final = Verdict(Action.REFUSE, Reply.of("550 5.7.1 source routes are not relayed"), "relay")
UNKNOWN_USER: Final = Verdict(Action.REFUSE, Reply.of("550 5.1.1 no such user here"), "relay")
UNIX: Final = "unix"
MOST_PROBLEMS: Final = 20  # lines of a file that are told to be wrong

_ROUTING: Final = frozenset("%!@")


def client_address(peer: str) -> IPv4Address | IPv6Address:
    """
    Read a client's IP address, IPv4-mapped IPv6 as IPv4 (RFC 4291 §2.5.5.2), without its zone.
    """
    address = ip_address(peer.partition("%")[0])
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def client_key(peer: str) -> str:
    """
    Tell by what a client is counted: "unix", an IPv4 address, or the /64 of an IPv6 address.
    """
    if ":" not in peer:
        return peer
    address = client_address(peer)
    return str(ip_network((int(address), 64), strict=False)) if address.version == 6 else str(address)


@attrs.frozen(slots=True)
class RelayPolicy:
    """
    [relay], ready for use; make it with `relay_policy`.

    `networks` are (IP version, address, mask). `recipients` are (`local_key`, domain) of all mailboxes of our
    `domains`, with EVERYBODY for all of a domain; None where any is taken here, and perhaps `verified` by somebody who
    knows what aliases make of it.
    """

    networks: tuple[tuple[int, int, int], ...]
    unix: bool
    domains: frozenset[str]
    recipients: frozenset[tuple[str, str]] | None
    verified: bool = False

    def trusts(self, peer: str) -> bool:
        """
        Tell whether a client ("unix", or an IP address as text) may send to anyone.
        """
        if peer == UNIX:
            return self.unix
        if ":" in peer:
            address = client_address(peer)
            version, number = address.version, int(address)
        else:  # without `ipaddress`, which takes longer for this than all else here
            version, number = 4, int.from_bytes(bytes(map(int, peer.split("."))), "big")
        return any(number & mask == network for kind, network, mask in self.networks if kind == version)

    def judge(self, trusted: bool, address: Address) -> Verdict | None:
        """
        Decide whether a client may send to `address`; None: it may.

        <Postmaster>, and the postmaster of each of our domains, is always reachable (RFC 5321 §4.5.1).
        """
        if trusted or not address.domain:
            return None
        local = address.local
        if not _ROUTING.isdisjoint(local if local.isascii() else unicodedata.normalize("NFKC", local)):
            return ROUTED
        if address.domain not in self.domains:
            return RELAY_DENIED
        if self.recipients is None:
            return None
        key = local_key(local)
        if key == "postmaster" or (key, address.domain) in self.recipients:
            return None
        return None if (EVERYBODY, address.domain) in self.recipients else UNKNOWN_USER


def relay_policy(
    networks: Iterable[str],
    domains: Iterable[str],
    recipients: Iterable[tuple[str, str]] | None,
    verified: bool = False,
) -> RelayPolicy:
    """
    Prepare the policy; ValueError for a network or domain that is none.

    `networks` are in CIDR notation, or "unix"; `recipients` come from `read_recipients`, None takes any. `verified`
    tells that somebody else checks them.
    """
    texts = list(networks)
    return RelayPolicy(
        networks=tuple(_compiled(text) for text in texts if text != UNIX),
        unix=UNIX in texts,
        domains=frozenset(canonical_domain(domain) for domain in domains),
        recipients=None if recipients is None else frozenset(recipients),
        verified=verified,
    )


def _compiled(text: str) -> tuple[int, int, int]:
    network = ip_network(text)
    return network.version, int(network.network_address), int(network.netmask)


def read_recipients(text: str) -> frozenset[tuple[str, str]]:
    """
    Read a file of recipients: an address a line, or "@example.org" for all of a domain; "#" begins a comment.
    ValueError lists the lines that are wrong, the first 20 of them.
    """
    recipients: set[tuple[str, str]] = set()
    problems: list[str] = []
    for number, entry in entries(text):
        try:
            recipients.add(read_mailboxes(entry))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
        if len(problems) > MOST_PROBLEMS:
            problems[-1] = "and perhaps more"
            break
    if problems:
        raise ValueError("\n".join(problems))
    return frozenset(recipients)
