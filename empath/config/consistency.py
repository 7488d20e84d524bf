"""
What a single value cannot tell: keys that contradict or need one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from empath.config.control import of_audit, of_control
from empath.config.convert import Problem, joined, unusable
from empath.config.delivery import of_delivery, of_domain
from empath.config.monitoring import of_metrics
from empath.config.reception import of_auth, of_listeners
from empath.config.schema import Config, Domain, Listener, Module, TlsPolicyName
from empath.config.sending import of_sending

SECURE: Final[tuple[TlsPolicyName, ...]] = ("required", "verified", "dane")  # dane: with `require_tls` beside it


def contradictions(config: Config) -> Iterator[Problem]:
    """
    Find all that cannot stand together.
    """
    yield from of_auth(config.auth)
    yield from of_listeners(config)
    yield from _of_modules(config.modules)
    yield from of_delivery(config.delivery)
    yield from of_sending(config.delivery, config.relay)
    yield from of_control(config.control)
    yield from of_audit(config.audit)
    yield from of_metrics(config.metrics)
    for name, domain in config.delivery.domains.items():
        yield from of_domain(joined("delivery.domains", name), domain, config.delivery)


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
    Give a domain that needs TLS a policy of at least `required`; under `dane` that is for hosts without TLSA records.
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
