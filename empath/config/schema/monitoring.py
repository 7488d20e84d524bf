"""
What the operator can write of how the service is seen from outside: [log], [metrics], [tracing] and [health].
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.units import Duration, EndpointText, Secret, seconds

LogLevelName = Literal["debug", "info", "warn", "error", "critical"]


@attrs.frozen(slots=True)
class Log:
    """
    [log]: how much is logged, and how it looks. `levels` are those of namespaces ("empath.dns") that differ, the
    longest that fits counts. What is said again, word by word, within `repeat_interval` is counted and told once at its
    end; 0 writes it all. `otlp_endpoint` is a collector that gets the records too, "" for none, with `otlp_headers`.
    """

    level: LogLevelName = "info"
    format: Literal["text", "json"] = "text"
    levels: dict[str, LogLevelName] = attrs.field(factory=dict)
    repeat_interval: Duration = seconds(30)
    otlp_endpoint: str = ""
    otlp_headers: dict[str, Secret] = attrs.field(factory=dict)


@attrs.frozen(slots=True)
class Metrics:
    """
    [metrics]: the page that Prometheus reads, and the same pushed to a collector. `token_hash` is the SHA-256 of the
    bearer token that the page wants, "" for none, which is for loopback only.
    """

    enabled: bool = True
    endpoint: EndpointText = EndpointText("tcp:9090:interface=127.0.0.1")
    token_hash: str = ""
    otlp_endpoint: str = ""
    otlp_interval: Duration = seconds(60)
    otlp_headers: dict[str, Secret] = attrs.field(factory=dict)
    max_domain_cardinality: int = 1000
    high_priority_domains: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Tracing:
    """
    [tracing]: one OpenTelemetry trace a message. `sample_ratio` of all messages (0 to 1) are traced whole; with
    `errors`, so are attempts of the others that fail. `addresses`: they stand in spans whole, else without local parts.
    `propagate` adds a traceparent field to mail that leaves, and to webhooks.
    """

    enabled: bool = False
    otlp_endpoint: str = "http://localhost:4318"
    otlp_headers: dict[str, Secret] = attrs.field(factory=dict)
    sample_ratio: float = 0.01
    errors: bool = True
    addresses: bool = False
    propagate: bool = False


HealthPart = Literal["smtp", "spool", "delivery", "dns", "queue"]


@attrs.frozen(slots=True)
class Health:
    """
    [health]: liveness and readiness over HTTP, and the status page. `token_hash` is the SHA-256 of the token that the
    status page and /health/detailed want, "" for none, which is for loopback only; /health/live and /health/ready never
    want one.
    """

    enabled: bool = True
    endpoint: EndpointText = EndpointText("tcp:8080:interface=127.0.0.1")
    token_hash: str = ""
    max_queue_size: int = 10000
    require: tuple[HealthPart, ...] = ("smtp", "spool", "delivery", "dns", "queue")
