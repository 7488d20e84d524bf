"""
What the keys of [delivery] and of the tables below it need of one another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, Literal

from empath.config.convert import Problem, unusable
from empath.config.schema import Delivery, Dns, Domain, EgressPool
from empath.config.strategies import of_strategy
from empath.config.values import shown

_DNSSEC: Final = "delivery.dns.dnssec"
_POOLS: Final = "delivery.pools"


def of_delivery(delivery: Delivery) -> Iterator[Problem]:
    """
    Look at [delivery], and at all below it but the tables of single domains.
    """
    if delivery.base_retry_delay > delivery.max_retry_delay:
        yield _above(
            "delivery.base_retry_delay", delivery.base_retry_delay, "max_retry_delay", delivery.max_retry_delay
        )
    if len(set(delivery.address_families)) < len(delivery.address_families):
        yield unusable("delivery.address_families", "one of them twice", "each once")
    if delivery.source_address and _family(delivery.source_address) not in delivery.address_families:
        allowed = "an address of delivery.address_families"
        path = "delivery.source_address"
        yield unusable(path, shown(delivery.source_address), allowed, ("delivery.address_families",))
    yield from _of_dns(delivery.dns)
    yield from _of_pair("delivery.tls", delivery.tls.certificate, delivery.tls.private_key)
    if delivery.tls.default_policy == "dane" and delivery.dns.dnssec == "off":
        yield _needs_dnssec("delivery.tls.default_policy")
    yield from _of_patterns(delivery)
    yield from _of_pools(delivery)


def of_domain(path: str, domain: Domain, delivery: Delivery) -> Iterator[Problem]:
    """
    Look at one table of [delivery.domains].
    """
    yield from of_strategy(path, domain)
    yield from _of_login(path, domain)
    yield from _of_tls(path, domain, delivery)
    yield from _of_pair(path, domain.certificate, domain.private_key)
    if domain.pool and domain.pool not in {pool.name for pool in delivery.pools}:
        known = (
            ", ".join(dict.fromkeys(shown(pool.name) for pool in delivery.pools))
            or "none, as there are no delivery.pools"
        )
        yield unusable(f"{path}.pool", shown(domain.pool), f"the name of a pool: {known}", (_POOLS,))


def _above(path: str, value: float, bound: str, limit: float) -> Problem:
    """
    Report a lower bound above its upper one.
    """
    other = f"{path.rpartition('.')[0]}.{bound}"
    return unusable(path, f"{value:g} s", f"at most {bound}, which is {limit:g} s", (other,))


def _needs_dnssec(path: str) -> Problem:
    """
    Report a policy that rests on answers that nobody vouches for.
    """
    allowed = 'it only with dnssec = "validate" or "trust-ad", as TLSA records mean nothing without DNSSEC'
    return unusable(path, '"dane"', allowed, (_DNSSEC,))


def _of_dns(dns: Dns) -> Iterator[Problem]:
    """
    Refuse what would believe anybody, or has nothing to go by.
    """
    if dns.min_cache_ttl > dns.max_cache_ttl:
        yield _above("delivery.dns.min_cache_ttl", dns.min_cache_ttl, "max_cache_ttl", dns.max_cache_ttl)
    away = [server for server in dns.servers if not _is_loopback(server)]
    if dns.dnssec == "trust-ad" and away and not dns.trust_remote_ad:
        allowed = f"it only with servers on this machine, or trust_remote_ad = true; not with {', '.join(away)}"
        yield unusable(_DNSSEC, '"trust-ad"', allowed, ("delivery.dns.servers", "delivery.dns.trust_remote_ad"))
    if dns.dnssec == "off" and dns.dnssec_enforce:
        yield unusable("delivery.dns.dnssec_enforce", "true", 'false with dnssec = "off"', (_DNSSEC,))
    if dns.dnssec != "validate" and dns.trust_anchor:
        allowed = 'a file only with dnssec = "validate"'
        yield unusable("delivery.dns.trust_anchor", shown(dns.trust_anchor), allowed, (_DNSSEC,))
    if dns.dnssec != "trust-ad" and dns.trust_remote_ad:
        yield unusable("delivery.dns.trust_remote_ad", "true", 'true only with dnssec = "trust-ad"', (_DNSSEC,))


def _is_loopback(server: str) -> bool:
    """
    Tell whether a server, as `name_server` reads it, is on this machine.
    """
    host = server[1:].partition("]")[0] if server.startswith("[") else server
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return ipaddress.ip_address(host.partition(":")[0]).is_loopback


def _of_pair(path: str, certificate: str, private_key: str) -> Iterator[Problem]:
    """
    A certificate has its key.
    """
    if certificate and not private_key:
        yield unusable(f"{path}.private_key", "nothing", "a file, as certificate is set", (f"{path}.certificate",))
    if private_key and not certificate:
        yield unusable(f"{path}.certificate", "nothing", "a file, as private_key is set", (f"{path}.private_key",))


def _of_patterns(delivery: Delivery) -> Iterator[Problem]:
    """
    Each pattern has something to look for.
    """
    for at, pattern in enumerate(delivery.shaping.patterns):
        if not pattern.match:
            path = f"delivery.shaping.patterns[{at}].match"
            yield unusable(path, "nothing", 'a regular expression, such as "slow down"')


def _of_pools(delivery: Delivery) -> Iterator[Problem]:
    """
    Pools have names, each its own, and addresses that can be used; and say alone where mail leaves from.
    """
    names: set[str] = set()
    for at, pool in enumerate(delivery.pools):
        path = f"{_POOLS}[{at}]"
        if not pool.name:
            yield unusable(f"{path}.name", "nothing", "a name, by which domains choose the pool")
        elif pool.name in names:
            yield unusable(f"{path}.name", shown(pool.name), "each name once")
        names.add(pool.name)
        yield from _of_addresses(f"{path}.addresses", pool, delivery)
    if delivery.source_address and any(pool.weight for pool in delivery.pools):
        allowed = '"", as delivery.pools say where mail leaves from'
        yield unusable("delivery.source_address", shown(delivery.source_address), allowed, (_POOLS,))


def _of_addresses(path: str, pool: EgressPool, delivery: Delivery) -> Iterator[Problem]:
    """
    Refuse addresses that would never be used: one twice, or of a family that is off.
    """
    if len(set(pool.addresses)) < len(pool.addresses):
        yield unusable(path, "one of them twice", "each once")
    families = set(map(_family, pool.addresses))
    if off := sorted(families - set(delivery.address_families)):
        allowed = "addresses of delivery.address_families only"
        yield unusable(path, f"some of {' and '.join(off)}", allowed, ("delivery.address_families",))


def _family(address: str) -> Literal["ipv6", "ipv4"]:
    return "ipv6" if ":" in address else "ipv4"


def _of_login(path: str, domain: Domain) -> Iterator[Problem]:
    """
    A login has both its parts, and goes to a host that the operator named, never to one that DNS names.
    """
    if domain.username and not domain.password:
        yield unusable(f"{path}.password", "nothing", "a secret, as username is set")
    if domain.password and not domain.username:
        yield unusable(f"{path}.username", "nothing", "a login, as password is set")
    if domain.username and domain.strategy == "smtp" and not domain.mx_override:
        allowed = "the smarthost, as a password is not given to hosts that DNS names"
        yield unusable(f"{path}.mx_override", "nothing", allowed, (f"{path}.strategy",))


def _of_tls(path: str, domain: Domain, delivery: Delivery) -> Iterator[Problem]:
    """
    Refuse a policy weaker than what the domain's other keys ask for. "dane" may stand with them: they say what becomes
    of hosts without TLSA records.
    """
    if domain.tls_policy == "dane" and delivery.dns.dnssec == "off":
        yield _needs_dnssec(f"{path}.tls_policy")
    needs = [
        reason
        for holds, reason in (
            (domain.require_tls, "require_tls is true"),
            (bool(domain.username), "a password is not sent in the clear"),
            (domain.tls == "implicit", 'tls is "implicit"'),
        )
        if holds
    ]
    if not needs:
        return
    allowed = f'"required", "verified" or "dane", as {" and ".join(needs)}'
    if domain.tls_policy in ("disabled", "opportunistic"):
        yield unusable(f"{path}.tls_policy", shown(domain.tls_policy), allowed)
    elif domain.tls_policy is None and delivery.tls.default_policy == "disabled":
        found = 'nothing (delivery.tls.default_policy is "disabled")'
        yield unusable(f"{path}.tls_policy", found, allowed)
