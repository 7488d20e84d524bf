"""
The sections below [delivery]: the queue, and all that leaves it.
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.schema.sending import Bounces, Dkim, Feedback, SenderBreaker, Srs, Suppression, Verp
from empath.config.units import (
    DAY,
    HOUR,
    KIB,
    MINUTE,
    NO_LIMIT,
    Duration,
    File,
    Folder,
    Options,
    Rate,
    Secret,
    Size,
    seconds,
)


@attrs.frozen(slots=True)
class Dns:
    """
    [delivery.dns]: the resolver; `servers` as "host[:port]", the system's when empty.

    `trust_anchor` is a file of DS or DNSKEY records, "" for the shipped root anchors.
    """

    servers: tuple[str, ...] = ()
    timeout: Duration = seconds(5)
    eviction_interval: Duration = seconds(5 * MINUTE)
    cache_size: int = 10000
    min_cache_ttl: Duration = seconds(MINUTE)
    max_cache_ttl: Duration = seconds(HOUR)
    serve_stale: Duration = seconds(HOUR)
    dnssec: Literal["off", "trust-ad", "validate"] = "off"
    dnssec_enforce: bool = False
    trust_anchor: File = File("")
    trust_remote_ad: bool = False


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
    max_age: Duration = seconds(10 * MINUTE)
    max_messages: int = 100


TlsPolicyName = Literal["disabled", "opportunistic", "required", "verified", "dane"]


@attrs.frozen(slots=True)
class DeliveryTls:
    """
    [delivery.tls]: what transport security a destination gets where its domain says nothing else.

    `certificate` and `private_key` are ours, for servers that ask clients for one.
    """

    default_policy: TlsPolicyName = "opportunistic"
    mta_sts: bool = True
    certificate: File = File("")
    private_key: File = File("")


@attrs.frozen(slots=True)
class TlsRpt:
    """
    [delivery.tls_rpt]: reports about TLS to the domains that want them (RFC 8460); off until all three are set.
    """

    organization: str = ""
    contact: str = ""
    sender: str = ""


@attrs.frozen(slots=True)
class RateLimits:
    """
    [delivery.rate_limits]: attempts in a time, of all mail (`global`) and for each destination domain; `burst` at once.
    """

    global_: Rate = NO_LIMIT
    default: Rate = NO_LIMIT
    burst: int = 20


@attrs.frozen(slots=True)
class CircuitBreaker:
    """
    [delivery.circuit_breaker]: `failure_threshold` failures of a site in `failure_window`, with no success between
    them, stop its mail for `timeout`; then `half_open_max_calls` attempts at a time try it.
    """

    failure_threshold: int = 5
    failure_window: Duration = seconds(MINUTE)
    timeout: Duration = seconds(5 * MINUTE)
    half_open_max_calls: int = 3


@attrs.frozen(slots=True)
class ShapingPattern:
    """
    [[delivery.shaping.patterns]]: a reply that matches the regular expression means: send slower, send nothing for
    `pause`, or (ignore) nothing at all.
    """

    match: str = ""
    action: Literal["slow", "pause", "ignore"] = "slow"
    pause: Duration = seconds(5 * MINUTE)


@attrs.frozen(slots=True)
class Shaping:
    """
    [delivery.shaping]: sites that ask for less get less; `patterns` are looked at before those that we know.
    """

    enabled: bool = True
    patterns: tuple[ShapingPattern, ...] = ()


@attrs.frozen(slots=True)
class EgressPool:
    """
    [[delivery.pools]]: addresses that mail leaves from, with the EHLO name that is theirs ("": the hostname). Where a
    domain names no pool, one is chosen by `weight`.
    """

    name: str = ""
    addresses: tuple[str, ...] = ()
    ehlo_name: str = ""
    weight: int = 1


@attrs.frozen(slots=True)
class Dsn:
    """
    [delivery.dsn]: reports to the sender; `reporting_mta` and `postmaster` default from the hostname.
    """

    enabled: bool = True
    reporting_mta: str = ""
    postmaster: str = ""
    delay_after: Duration = seconds(4 * HOUR)
    max_returned: Size = Size(50 * KIB)


@attrs.frozen(slots=True)
class Domain:
    """
    [delivery.domains."example.org"]: how mail for one domain ("*.suffix": below it, "*": every other) goes on.

    None: as [delivery] says. `max_connections` and `rate_limit` hold for all destinations of the same site.

    `strategy` is one of those that are built in, or the dotted name of a callable that returns an agent and is called
    with `options`. `path` is the folder of maildir and file, the socket of lmtp; `url`, `secret`, `format` and
    `headers` are the webhook's.
    """

    mx_override: tuple[str, ...] = ()
    strategy: str = "smtp"
    options: Options = attrs.field(factory=lambda: Options({}))
    path: Folder = Folder("")
    url: str = ""
    secret: Secret = attrs.field(default=Secret(""), repr=False)
    format: Literal["json", "raw"] = "json"
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)
    tls_policy: TlsPolicyName | None = None
    require_tls: bool = False
    tls: Literal["starttls", "implicit"] = "starttls"
    username: str = ""
    max_connections: int | None = None
    rate_limit: Rate | None = None
    max_messages: int | None = None
    accept_invalid_certs: bool | None = None
    pool: str = ""
    certificate: File = File("")
    private_key: File = File("")
    password: Secret = attrs.field(default=Secret(""), repr=False)  # never in a log line or a traceback


@attrs.frozen(slots=True)
class Delivery:
    """
    [delivery]: the queue and what leaves it.
    """

    scan_interval: Duration = seconds(30)
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
    idempotency_window: Duration = seconds(DAY)
    accept_invalid_certs: bool = False
    dns: Dns = Dns()
    timeouts: DeliveryTimeouts = DeliveryTimeouts()
    connection_pool: ConnectionPool = ConnectionPool()
    tls: DeliveryTls = DeliveryTls()
    tls_rpt: TlsRpt = TlsRpt()
    rate_limits: RateLimits = RateLimits()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    shaping: Shaping = Shaping()
    pools: tuple[EgressPool, ...] = ()
    dsn: Dsn = Dsn()
    dkim: Dkim = Dkim()
    srs: Srs = Srs()
    verp: Verp = Verp()
    feedback: Feedback = Feedback()
    bounces: Bounces = Bounces()
    suppression: Suppression = Suppression()
    sender_breaker: SenderBreaker = SenderBreaker()
    domains: dict[str, Domain] = attrs.field(factory=dict)
