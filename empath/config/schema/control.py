"""
What the operator can write of the control socket and the audit trail: [control] and [audit].
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.units import DAY, Duration, File, Folder, seconds


@attrs.frozen(slots=True)
class ControlToken:
    """
    [[control.tokens]]: one who may use the control socket; `name` goes to the audit trail, `sha256` is the hash of the
    token, 64 hexadecimal digits.
    """

    name: str = ""
    sha256: str = ""


@attrs.frozen(slots=True)
class Control:
    """
    [control]: who may use `control_socket`, beside those whom its file permissions let in: with `tokens`, only who has
    one of them.
    """

    tokens: tuple[ControlToken, ...] = ()


@attrs.frozen(slots=True)
class AuditSyslog:
    """
    [audit.syslog]: where `sinks = ["syslog"]` sends records (RFC 5424): "unix:/dev/log", "udp:host:port",
    "tcp:host:port" or "tls:host:port" (RFC 5425), whose certificate is verified against `ca` ("": the system's).
    """

    address: str = "unix:/dev/log"
    facility: str = "mail"
    ca: File = File("")


@attrs.frozen(slots=True)
class AuditOtlp:
    """
    [audit.otlp]: where `sinks = ["otlp"]` sends records, as OTLP logs over HTTP.
    """

    endpoint: str = "http://localhost:4318"


@attrs.frozen(slots=True)
class Audit:
    """
    [audit]: the trail of what happened to messages, and of what operators did. `durable`: 250 waits until the record is
    on the disk. `on_full`: whether mail is still taken while records cannot be written. `retention` is how long rotated
    files are kept.
    """

    enabled: bool = True
    path: Folder = Folder("/var/log/empath/audit.jsonl")
    rotate_daily: bool = True
    redact_sender: bool = False
    redact_recipients: bool = False
    redact_message_content: bool = True
    sinks: tuple[Literal["file", "syslog", "otlp"], ...] = ("file",)
    durable: bool = False
    on_full: Literal["continue", "stop"] = "continue"
    retention: Duration = seconds(90 * DAY)
    compress: bool = True
    syslog: AuditSyslog = AuditSyslog()
    otlp: AuditOtlp = AuditOtlp()
