"""
What the operator can write, section by section: frozen classes whose defaults are the contract's.

Each part of the service gets its own section and never sees the whole `Config`. Sections of systems that are not
built yet are not here, so their keys are refused as unknown.
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.units import NO_LIMIT, Duration, EndpointText, File, Folder, Rate, Secret, Size, seconds

KIB = 1024
MIB = 1024 * KIB
MINUTE = 60
HOUR = 3600
DAY = 86400


@attrs.frozen(slots=True)
class Log:
    """
    [log]: how much is logged, and how it looks.
    """

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    format: Literal["text", "json"] = "text"


@attrs.frozen(slots=True)
class SmtpTimeouts:
    """
    [smtp.timeouts], in seconds (RFC 5321 §4.5.3.2); `connection` is looked at between transactions only.
    """

    command: Duration = seconds(5 * MINUTE)
    data_init: Duration = seconds(2 * MINUTE)
    data_block: Duration = seconds(3 * MINUTE)
    data_termination: Duration = seconds(10 * MINUTE)
    connection: Duration = seconds(30 * MINUTE)


@attrs.frozen(slots=True)
class ListenerTimeouts:
    """
    [smtp.listeners.timeouts]: what is given overrides [smtp.timeouts].
    """

    command: Duration | None = None
    data_init: Duration | None = None
    data_block: Duration | None = None
    data_termination: Duration | None = None
    connection: Duration | None = None


@attrs.frozen(slots=True)
class KeyPair:
    """
    A certificate chain and its private key, as the paths of PEM files.
    """

    certificate: File = File("")
    private_key: File = File("")


ExtensionName = Literal[
    "SIZE",
    "PIPELINING",
    "8BITMIME",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "BINARYMIME",
    "SMTPUTF8",
    "DSN",
    "LIMITS",
    "DELIVERBY",
    "FUTURERELEASE",
    "MT-PRIORITY",
]


@attrs.frozen(slots=True)
class Listener:
    """
    [[smtp.listeners]]: one place where mail is taken. `certificates` are more of them, chosen by the name that the
    client asks for (SNI). `client_ca` is a PEM file that client certificates are verified against. `auth`: offer AUTH;
    "required" refuses mail without it, which is what kind = "submission" means; None is as the kind has it.
    `auth_cleartext` allows AUTH without TLS.
    """

    endpoint: EndpointText = EndpointText("tcp:1025:interface=127.0.0.1")
    kind: Literal["mta", "submission", "lmtp"] = "mta"
    tls: Literal["none", "starttls", "implicit"] = "none"
    certificate: File = File("")
    private_key: File = File("")
    certificates: tuple[KeyPair, ...] = ()
    client_ca: File = File("")
    extensions_off: tuple[ExtensionName, ...] = ()
    auth: Literal[False, True, "required"] | None = None
    auth_cleartext: bool = False
    context: dict[str, str] = attrs.field(factory=dict)
    timeouts: ListenerTimeouts = ListenerTimeouts()


@attrs.frozen(slots=True)
class Smtp:
    """
    [smtp]: reception and its limits. `proxies` and `xclient` are networks in CIDR notation, or "unix": who must send a
    PROXY header, and who may say XCLIENT.
    """

    max_connections: int = 1000
    max_connections_per_client: int = 100
    max_message_size: Size = Size(25 * MIB)
    max_recipients: int = 1000
    max_errors: int = 20
    max_commands: int = 1000
    max_messages: int = 1000
    max_hops: int = 100
    bare_newlines: Literal["reject", "normalize"] = "reject"
    bare_newlines_exclude: tuple[str, ...] = ()
    banner: str = "{hostname} ESMTP empath"
    greeting_delay: Duration = seconds(0)
    max_connection_rate_per_client: Rate = NO_LIMIT
    proxies: tuple[str, ...] = ()
    xclient: tuple[str, ...] = ()
    max_future_release: Duration = seconds(30 * DAY)
    timeouts: SmtpTimeouts = SmtpTimeouts()
    listeners: tuple[Listener, ...] = (Listener(),)


@attrs.frozen(slots=True)
class Relay:
    """
    [relay]: who may send to whom. `recipients` is "any", or the path of a file with an address a line.
    """

    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    domains: tuple[str, ...] = ()
    recipients: str = ""


@attrs.frozen(slots=True)
class Auth:
    """
    [auth]: who may log in. `users` is a file of "name:verifier" lines, `senders` one of "login: address …" lines ("":
    any sender), `authenticator` the dotted name of a callable that returns an IAuthenticator, instead of the file.

    A client that fails `max_failures` times within `failure_window` seconds waits for the rest of it.
    """

    users: File = File("")
    senders: File = File("")
    authenticator: str = ""
    max_failures: int = 10
    failure_window: Duration = seconds(10 * MINUTE)


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
    spool: Spool = Spool()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    health: Health = Health()
