"""
What the operator can write, section by section: frozen classes whose defaults are the contract's.

Each part of the service gets its own section and never sees the whole `Config`. Sections of systems that are not
built yet are not here, so their keys are refused as unknown.
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.schema.modules import Module
from empath.config.schema.reception import (
    Auth,
    ExtensionName,
    KeyPair,
    Listener,
    ListenerTimeouts,
    Relay,
    Smtp,
    SmtpTimeouts,
)
from empath.config.units import DAY, HOUR, KIB, MIB, MINUTE, Duration, EndpointText, Folder, Secret, Size, seconds

__all__ = (
    "Auth",
    "Config",
    "ConnectionPool",
    "Delivery",
    "DeliveryTimeouts",
    "DeliveryTls",
    "Dns",
    "Domain",
    "Dsn",
    "ExtensionName",
    "Health",
    "HealthPart",
    "KeyPair",
    "Listener",
    "ListenerTimeouts",
    "Log",
    "Metrics",
    "Module",
    "Relay",
    "Smtp",
    "SmtpTimeouts",
    "Spool",
    "TlsPolicyName",
)


@attrs.frozen(slots=True)
class Log:
    """
    [log]: how much is logged, and how it looks.
    """

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    format: Literal["text", "json"] = "text"


@attrs.frozen(slots=True)
class Spool:
    """
    [spool]: where messages are kept.
    """

    backend: Literal["sqlite", "memory"] = "sqlite"
    path: Folder = Folder("/var/spool/empath")
    inline_limit: Size = Size(64 * KIB)
    min_free: Size = Size(64 * MIB)


@attrs.frozen(slots=True)
class Dns:
    """
    [delivery.dns]: the resolver; `servers` as "host[:port]", the system's when empty.
    """

    servers: tuple[str, ...] = ()
    timeout: Duration = seconds(5)
    eviction_interval: Duration = seconds(5 * MINUTE)
    cache_size: int = 10000
    min_cache_ttl: Duration = seconds(MINUTE)
    max_cache_ttl: Duration = seconds(HOUR)


@attrs.frozen(slots=True)
class DeliveryTimeouts:
    """
    [delivery.timeouts], in seconds, a step each (RFC 5321 §4.5.3.2).
    """

    connect: Duration = seconds(30)
    greeting: Duration = seconds(5 * MINUTE)
    ehlo: Duration = seconds(5 * MINUTE)
    starttls: Duration = seconds(2 * MINUTE)
    mail_from: Duration = seconds(5 * MINUTE)
    rcpt_to: Duration = seconds(5 * MINUTE)
    data: Duration = seconds(2 * MINUTE)
    data_block: Duration = seconds(3 * MINUTE)
    data_termination: Duration = seconds(10 * MINUTE)
    quit: Duration = seconds(10)


@attrs.frozen(slots=True)
class ConnectionPool:
    """
    [delivery.connection_pool]: how connections are shared by messages.
    """

    max_per_server: int = 20
    idle_timeout: Duration = seconds(30)
    max_messages: int = 100


TlsPolicyName = Literal["disabled", "opportunistic", "required", "verified"]


@attrs.frozen(slots=True)
class DeliveryTls:
    """
    [delivery.tls]: what transport security a destination gets where its domain says nothing else.
    """

    default_policy: TlsPolicyName = "opportunistic"


@attrs.frozen(slots=True)
class Dsn:
    """
    [delivery.dsn]: reports to the sender; `reporting_mta` and `postmaster` default from the hostname.
    """

    enabled: bool = True
    reporting_mta: str = ""
    postmaster: str = ""
    max_returned: Size = Size(50 * KIB)


@attrs.frozen(slots=True)
class Domain:
    """
    [delivery.domains."example.org"]: how mail for one domain ("*.suffix": below it, "*": every other) goes on.
    """

    mx_override: tuple[str, ...] = ()
    strategy: Literal["smtp", "maildir"] = "smtp"
    path: Folder = Folder("")
    tls_policy: TlsPolicyName | None = None
    require_tls: bool = False
    tls: Literal["starttls", "implicit"] = "starttls"
    username: str = ""
    password: Secret = attrs.field(default=Secret(""), repr=False)  # never in a log line or a traceback


@attrs.frozen(slots=True)
class Delivery:
    """
    [delivery]: the queue and what leaves it.
    """

    process_interval: Duration = seconds(10)
    cleanup_interval: Duration = seconds(MINUTE)
    expiry_interval: Duration = seconds(MINUTE)
    max_cleanup_attempts: int = 3
    max_attempts: int = 25
    base_retry_delay: Duration = seconds(MINUTE)
    max_retry_delay: Duration = seconds(DAY)
    retry_multiplier: float = 2.0
    retry_jitter_factor: float = 0.2
    message_expiration: Duration = seconds(5 * DAY)
    keep_failed: Duration = seconds(3 * DAY)
    keep_completed: Duration = seconds(0)
    port: int = 25
    address_families: tuple[Literal["ipv6", "ipv4"], ...] = ("ipv6", "ipv4")
    source_address: str = ""
    max_recipients_per_transaction: int = 100
    allow_private_mx: bool = False
    max_parallel_deliveries: int = 100
    max_active: int = 20000
    shutdown_timeout: Duration = seconds(30)
    dns: Dns = Dns()
    timeouts: DeliveryTimeouts = DeliveryTimeouts()
    connection_pool: ConnectionPool = ConnectionPool()
    tls: DeliveryTls = DeliveryTls()
    dsn: Dsn = Dsn()
    domains: dict[str, Domain] = attrs.field(factory=dict)


@attrs.frozen(slots=True)
class Metrics:
    """
    [metrics]: the page that Prometheus reads.
    """

    enabled: bool = True
    endpoint: EndpointText = EndpointText("tcp:9090:interface=127.0.0.1")
    max_domain_cardinality: int = 1000
    high_priority_domains: tuple[str, ...] = ()


HealthPart = Literal["smtp", "spool", "delivery", "dns", "queue"]


@attrs.frozen(slots=True)
class Health:
    """
    [health]: liveness and readiness over HTTP.
    """

    enabled: bool = True
    endpoint: EndpointText = EndpointText("tcp:8080:interface=127.0.0.1")
    max_queue_size: int = 10000
    require: tuple[HealthPart, ...] = ("smtp", "spool", "delivery", "dns", "queue")


@attrs.frozen(slots=True)
class Config:
    """
    The whole file; `hostname` is the machine's FQDN where the operator gave none.
    """

    hostname: str
    log: Log = Log()
    smtp: Smtp = Smtp()
    relay: Relay = Relay()
    auth: Auth = Auth()
    modules: tuple[Module, ...] = ()
    spool: Spool = Spool()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    health: Health = Health()
