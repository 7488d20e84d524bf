"""
What the operator can write, section by section: frozen classes whose defaults are the contract's.

Each part of the service gets its own section and never sees the whole `Config`. Sections of systems that are not
built yet are not here, so their keys are refused as unknown.
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.schema.control import Audit, AuditOtlp, AuditSyslog, Control, ControlToken
from empath.config.schema.delivery import (
    CircuitBreaker,
    ConnectionPool,
    Delivery,
    DeliveryTimeouts,
    DeliveryTls,
    Dns,
    Domain,
    Dsn,
    EgressPool,
    RateLimits,
    Shaping,
    ShapingPattern,
    TlsPolicyName,
    TlsRpt,
)
from empath.config.schema.modules import Module
from empath.config.schema.monitoring import Health, HealthPart, Log, LogLevelName, Metrics, Tracing
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
from empath.config.schema.sending import (
    BounceCategory,
    BouncePattern,
    Bounces,
    Dkim,
    DkimKey,
    Feedback,
    SenderBreaker,
    Srs,
    Suppression,
    Verp,
)
from empath.config.units import KIB, MIB, Folder, Size

__all__ = (
    "Audit",
    "AuditOtlp",
    "AuditSyslog",
    "Auth",
    "BounceCategory",
    "BouncePattern",
    "Bounces",
    "CircuitBreaker",
    "Config",
    "ConnectionPool",
    "Control",
    "ControlToken",
    "Delivery",
    "DeliveryTimeouts",
    "DeliveryTls",
    "Dkim",
    "DkimKey",
    "Dns",
    "Domain",
    "Dsn",
    "EgressPool",
    "ExtensionName",
    "Feedback",
    "Health",
    "HealthPart",
    "KeyPair",
    "Listener",
    "ListenerTimeouts",
    "Log",
    "LogLevelName",
    "Metrics",
    "Module",
    "RateLimits",
    "Relay",
    "SenderBreaker",
    "Shaping",
    "ShapingPattern",
    "Smtp",
    "SmtpTimeouts",
    "Spool",
    "Srs",
    "Suppression",
    "TlsPolicyName",
    "TlsRpt",
    "Tracing",
    "Verp",
)


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
class Config:
    """
    The whole file; `hostname` is the machine's FQDN where the operator gave none. `control_socket` is the path of a
    UNIX socket, "" for none; `watch_config`: the file is read again when it changes.
    """

    hostname: str
    control_socket: Folder = Folder("/run/empath/control.sock")
    watch_config: bool = False
    log: Log = Log()
    smtp: Smtp = Smtp()
    relay: Relay = Relay()
    auth: Auth = Auth()
    modules: tuple[Module, ...] = ()
    spool: Spool = Spool()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()
    health: Health = Health()
    control: Control = Control()
    audit: Audit = Audit()
