"""
From what the DNS said to the hosts to try, in order (RFC 5321 §5.1), and what it means where there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal

import attrs

from empath.mail.answer import Answer, Found
from empath.mail.outcome import Failure, PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.demand import OPPORTUNISTIC, Assurance

if TYPE_CHECKING:
    import random

MAX_ADDRESSES: Final = 5  # in one attempt
Family = Literal["ipv6", "ipv4"]
RDTYPES: Final[dict[Family, str]] = {"ipv6": "AAAA", "ipv4": "A"}

_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)

NULL_MX: Final = PermanentFailure(Reply(556, "5.1.10", ("the domain accepts no mail (null MX)",)), Scope.MESSAGE)
NO_DOMAIN: Final = PermanentFailure(Reply(550, "5.1.2", ("the domain does not exist",)), Scope.MESSAGE)
NO_ADDRESS: Final = PermanentFailure(Reply(550, "5.4.4", ("no host of the domain has an address",)), Scope.MESSAGE)
NOT_USABLE: Final = PermanentFailure(
    Reply(550, "5.4.4", ("no host of the domain has an address that mail may be sent to",)), Scope.MESSAGE
)
LOOP: Final = PermanentFailure(
    Reply(554, "5.4.6", ("mail for the domain loops back to this host, which is not configured for it",)),
    Scope.MESSAGE,
)
BAD_LITERAL: Final = PermanentFailure(Reply(550, "5.1.2", ("the address literal is none",)), Scope.MESSAGE)


@attrs.frozen(slots=True)
class Candidate:
    """
    One address to try: the host's name (for the outcome, TLS and the log), the IP address, the port, and what the host
    must show.
    """

    host: str
    address: str
    port: int
    assurance: Assurance = OPPORTUNISTIC


def host_groups(
    answer: Answer, ours: Collection[str], chance: random.Random
) -> tuple[tuple[str, ...], ...] | PermanentFailure | TransientFailure:
    """
    Order the hosts of a domain from the answer to its MX question: groups of equal preference, each shuffled.

    Without MX records the domain itself is the host. Where a host is one of `ours` (names of this machine in lower
    case), its group and all after it are cut, so that mail never goes backwards.
    """
    if answer.found is Found.RECORDS:
        return _order(answer, ours, chance)
    if answer.found is Found.NO_DATA:
        return LOOP if answer.name in ours else ((answer.name,),)
    return NO_DOMAIN if answer.found is Found.NO_NAME else dns_trouble(answer)


def _order(
    answer: Answer, ours: Collection[str], chance: random.Random
) -> tuple[tuple[str, ...], ...] | PermanentFailure:
    if len(answer.mx) == 1:  # the common case needs neither sorting nor chance
        host = answer.mx[0].host
        if not host:
            return NULL_MX
        return LOOP if host in ours else ((host,),)
    groups: dict[int, list[str]] = {}
    for record in answer.mx:
        if record.host:
            groups.setdefault(record.preference, []).append(record.host)
    ordered: list[tuple[str, ...]] = []
    for preference in sorted(groups):
        hosts = list(dict.fromkeys(groups[preference]))
        if any(host in ours for host in hosts):
            return tuple(ordered) or LOOP
        chance.shuffle(hosts)
        ordered.append(tuple(hosts))
    return tuple(ordered) or NULL_MX


def dns_trouble(answer: Answer) -> TransientFailure:
    """
    Tell that a look-up failed.
    """
    said = [f"4.4.3 look-up of {answer.name} {answer.rdtype} failed: {answer.detail or 'no answer'}"]
    return TransientFailure(Reply.heard(451, said), Scope.HOST)


def no_candidates(answers: Iterable[Answer]) -> Failure:
    """
    Tell why the addresses of all hosts, as `answers` gave them, leave nothing to try.
    """
    failure: Failure = NO_ADDRESS
    for answer in answers:
        if answer.found is Found.FAILED:
            return dns_trouble(answer)
        if answer.found is Found.RECORDS:
            failure = NOT_USABLE
    return failure


def interleave(families: Sequence[Sequence[str]]) -> list[str]:
    """
    Take addresses in turn from each family, so that a family that does not work here costs one try, not all five.
    """
    if len(families) == 1:
        return list(families[0])
    return [address for turn in zip_longest(*families) for address in turn if address is not None]


def is_public(address: str) -> bool:
    """
    Tell whether the DNS may send our mail to an address: not to this machine, its networks or a group (RFC 6890).
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return not any(parsed.version == network.version and parsed in network for network in _NOT_PUBLIC)


def read_address(text: str) -> str | None:
    """
    Read an IP address as an operator writes it; None if it is a name.
    """
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def read_literal(domain: str) -> str | PermanentFailure | None:
    """
    Read an address literal (RFC 5321 §4.1.3) such as "[192.0.2.1]" or "[IPv6:2001:db8::1]"; None if it is a domain.
    """
    if not domain.startswith("["):
        return None
    text = domain.removeprefix("[").removesuffix("]")
    tagged = text[:5].lower() == "ipv6:"
    try:
        return str(IPv6Address(text[5:]) if tagged else IPv4Address(text))
    except ValueError:
        return BAD_LITERAL
