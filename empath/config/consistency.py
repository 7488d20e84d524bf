"""
What a single value cannot tell: keys that contradict or need one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from empath.config.convert import Problem, joined, unusable
from empath.config.reception import of_auth, of_listeners
from empath.config.schema import Config, Delivery, Domain, Listener, Module, TlsPolicyName
from empath.config.values import shown

SECURE: Final[tuple[TlsPolicyName, ...]] = ("required", "verified")


def contradictions(config: Config) -> Iterator[Problem]:
    """
    Find all that cannot stand together.
    """
    yield from of_auth(config.auth)
    yield from of_listeners(config)
    yield from _of_modules(config.modules)
    yield from _of_delivery(config.delivery)
    for name, domain in config.delivery.domains.items():
        yield from _of_domain(joined("delivery.domains", name), domain, config.delivery.tls.default_policy)


def completed(config: Config) -> Config:
    """
    Fill in what defaults from other keys: the reports' names, TLS where a password or `require_tls` needs it, and AUTH
    where mail is submitted.
    """
    delivery = config.delivery
    dsn = attrs.evolve(
        delivery.dsn,
        reporting_mta=delivery.dsn.reporting_mta or config.hostname,
        postmaster=delivery.dsn.postmaster or f"postmaster@{config.hostname}",
    )
    domains = {name: _secured(domain, delivery.tls.default_policy) for name, domain in delivery.domains.items()}
    listeners = tuple(map(_with_auth, config.smtp.listeners))
    return attrs.evolve(
        config,
        smtp=attrs.evolve(config.smtp, listeners=listeners),
        delivery=attrs.evolve(delivery, dsn=dsn, domains=domains),
    )


def _with_auth(listener: Listener) -> Listener:
    """
    Require a login where mail is submitted, and take it in the clear where no TLS is the operator's wish.
    """
    if listener.kind != "submission":
        return listener
    return attrs.evolve(listener, auth="required", auth_cleartext=listener.auth_cleartext or listener.tls == "none")


def _secured(domain: Domain, default: TlsPolicyName) -> Domain:
    """
    Give a domain that needs TLS a policy of at least `required`.
    """
    if not (domain.require_tls or domain.username) or (domain.tls_policy or default) in SECURE:
        return domain
    return attrs.evolve(domain, tls_policy="required")


def _of_modules(modules: tuple[Module, ...]) -> Iterator[Problem]:
    """
    Ask what makes each module.
    """
    for at, module in enumerate(modules):
        if not module.factory:
            allowed = 'a dotted name, such as "mypackage.policy:NoMondayMail", or the name of a built-in module'
            yield unusable(f"modules[{at}].factory", "nothing", allowed)


def _of_delivery(delivery: Delivery) -> Iterator[Problem]:
    """
    Compare lower with upper bounds.
    """
    if delivery.base_retry_delay > delivery.max_retry_delay:
        yield _above(
            "delivery.base_retry_delay", delivery.base_retry_delay, "max_retry_delay", delivery.max_retry_delay
        )
    dns = delivery.dns
    if dns.min_cache_ttl > dns.max_cache_ttl:
        yield _above("delivery.dns.min_cache_ttl", dns.min_cache_ttl, "max_cache_ttl", dns.max_cache_ttl)
    if len(set(delivery.address_families)) < len(delivery.address_families):
        yield unusable("delivery.address_families", "one of them twice", "each once")


def _above(path: str, value: float, bound: str, limit: float) -> Problem:
    """
    Report a lower bound above its upper one.
    """
    other = f"{path.rpartition('.')[0]}.{bound}"
    return unusable(path, f"{value:g} s", f"at most {bound}, which is {limit:g} s", (other,))


def _of_domain(path: str, domain: Domain, default: TlsPolicyName) -> Iterator[Problem]:
    """
    Look at one table of [delivery.domains].
    """
    if domain.strategy == "maildir":
        yield from _of_maildir(path, domain)
    elif domain.path:
        allowed = 'a path only with strategy = "maildir"'
        yield unusable(f"{path}.path", shown(domain.path), allowed, (f"{path}.strategy",))
    yield from _of_login(path, domain)
    yield from _of_tls(path, domain, default)


def _of_maildir(path: str, domain: Domain) -> Iterator[Problem]:
    """
    Refuse a maildir without its path, or with what belongs to a host.
    """
    if not domain.path:
        yield unusable(f"{path}.path", "nothing", 'the path of the maildir, as strategy = "maildir" needs one')
    if domain.mx_override:
        yield unusable(f"{path}.mx_override", "an override", 'none with strategy = "maildir"')
    if domain.username:
        yield unusable(f"{path}.username", shown(domain.username), 'none with strategy = "maildir"')


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


def _of_tls(path: str, domain: Domain, default: TlsPolicyName) -> Iterator[Problem]:
    """
    Refuse a policy weaker than what the domain's other keys ask for.
    """
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
    allowed = f'"required" or "verified", as {" and ".join(needs)}'
    if domain.tls_policy in ("disabled", "opportunistic"):
        yield unusable(f"{path}.tls_policy", shown(domain.tls_policy), allowed)
    elif domain.tls_policy is None and default == "disabled":
        found = 'nothing (delivery.tls.default_policy is "disabled")'
        yield unusable(f"{path}.tls_policy", found, allowed)
