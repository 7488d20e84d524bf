"""
Which reader reads which key: by its type, and by its name where the type says too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args, get_origin

import attrs

from empath.config import collectors, names, schema, values, web
from empath.config.units import Duration, EndpointText, File, Folder, Options, Rate, Secret, Size
from empath.config.values import Reader, Refused, Surroundings


@attrs.frozen(slots=True)
class Leaf:
    """
    A single value.
    """

    read: Reader


@attrs.frozen(slots=True)
class Each:
    """
    An array; `alone` allows its only item without brackets, `empty` an array of none.
    """

    item: Shape
    alone: bool = False
    empty: bool = True


@attrs.frozen(slots=True)
class Keyed:
    """
    A table whose keys the operator chooses.
    """

    key: Reader
    item: Shape


@attrs.frozen(slots=True)
class Section:
    """
    A table whose keys are the attributes of a class.
    """

    cls: type


Shape = Leaf | Each | Keyed | Section


def _recipients(value: object, around: Surroundings) -> str:
    """
    Read where our recipients are known from: "verify", "any", or a file.
    """
    allowed = '"verify", "any", or the path of a file with an address a line'
    if not isinstance(value, str) or not value:
        raise Refused(allowed)
    if value in ("verify", "any"):
        return value
    path = around.folder / value
    try:
        path.open("rb").close()
    except (OSError, ValueError) as trouble:
        raise Refused(f"{allowed}: {getattr(trouble, 'strerror', None) or trouble}") from trouble
    return str(path)


def _options(value: object, _: Surroundings) -> Options:
    """
    Read a table that is for someone else to look into.
    """
    if not isinstance(value, dict):
        raise Refused("a table")
    return Options(value)


BY_TYPE: Final[Mapping[object, Reader]] = MappingProxyType(
    {
        bool: values.boolean,
        int: values.integer(1),
        str: values.text,
        Duration: values.duration(),
        Size: values.size(),
        Secret: values.secret,
        Folder: values.folder,
        File: values.file,
        Rate: values.rate,
        EndpointText: values.endpoint,
        Options: _options,
    }
)

_NOT_NEGATIVE: Final = Leaf(values.duration(low=0))
_OTLP_HEADERS: Final = Keyed(web.request_header, Leaf(web.request_value))

BY_NAME: Final[Mapping[tuple[type, str], Shape]] = MappingProxyType(
    {
        (schema.Config, "hostname"): Leaf(names.domain),
        (schema.Config, "control_socket"): Leaf(collectors.optional_folder),
        (schema.ControlToken, "name"): Leaf(collectors.token_name),
        (schema.ControlToken, "sha256"): Leaf(collectors.sha256),
        (schema.Audit, "sinks"): Each(Leaf(values.one_of(("file", "syslog", "otlp"))), empty=False),
        (schema.AuditSyslog, "address"): Leaf(collectors.syslog_address),
        (schema.AuditSyslog, "facility"): Leaf(values.one_of(collectors.FACILITIES)),
        (schema.AuditOtlp, "endpoint"): Leaf(web.collector_url),
        (schema.Log, "levels"): Keyed(collectors.namespace, Leaf(values.one_of(get_args(schema.LogLevelName)))),
        (schema.Log, "repeat_interval"): _NOT_NEGATIVE,
        (schema.Log, "otlp_endpoint"): Leaf(web.optional_collector_url),
        (schema.Log, "otlp_headers"): _OTLP_HEADERS,
        (schema.Metrics, "token_hash"): Leaf(collectors.optional_sha256),
        (schema.Metrics, "otlp_endpoint"): Leaf(web.optional_collector_url),
        (schema.Metrics, "otlp_headers"): _OTLP_HEADERS,
        (schema.Tracing, "otlp_endpoint"): Leaf(web.collector_url),
        (schema.Tracing, "otlp_headers"): _OTLP_HEADERS,
        (schema.Tracing, "sample_ratio"): Leaf(values.number(0, 1)),
        (schema.Health, "token_hash"): Leaf(collectors.optional_sha256),
        (schema.Smtp, "banner"): Leaf(names.banner),
        (schema.Smtp, "bare_newlines_exclude"): Each(Leaf(names.network_or_trusted)),
        (schema.Smtp, "greeting_delay"): _NOT_NEGATIVE,
        (schema.Smtp, "proxies"): Each(Leaf(names.network)),
        (schema.Smtp, "xclient"): Each(Leaf(names.network)),
        (schema.Smtp, "listeners"): Each(Section(schema.Listener), empty=False),
        (schema.Relay, "networks"): Each(Leaf(names.network)),
        (schema.Relay, "domains"): Each(Leaf(names.domain)),
        (schema.Relay, "recipients"): Leaf(_recipients),
        (schema.Auth, "authenticator"): Leaf(names.optional_dotted_name),
        (schema.Module, "factory"): Leaf(names.factory),
        (schema.Module, "name"): Leaf(names.module),
        (schema.Spool, "inline_limit"): Leaf(values.size(low=0)),
        (schema.Spool, "min_free"): Leaf(values.size(low=0)),
        (schema.Dns, "servers"): Each(Leaf(names.name_server)),
        (schema.Dns, "min_cache_ttl"): _NOT_NEGATIVE,
        (schema.Dns, "serve_stale"): _NOT_NEGATIVE,
        (schema.TlsRpt, "sender"): Leaf(names.mailbox),
        (schema.ShapingPattern, "match"): Leaf(values.expression),
        (schema.EgressPool, "name"): Leaf(names.pool),
        (schema.EgressPool, "addresses"): Each(Leaf(names.plain_ip_address), alone=True),
        (schema.EgressPool, "ehlo_name"): Leaf(names.optional_domain),
        (schema.EgressPool, "weight"): Leaf(values.integer(0)),
        (schema.Dsn, "reporting_mta"): Leaf(names.optional_domain),
        (schema.Dsn, "delay_after"): _NOT_NEGATIVE,
        (schema.DkimKey, "domain"): Leaf(names.domain),
        (schema.DkimKey, "selector"): Leaf(names.selector),
        (schema.Dkim, "headers"): Each(Leaf(web.field_name), empty=False),
        (schema.Dkim, "oversign"): Each(Leaf(web.field_name)),
        (schema.Dkim, "expiration"): _NOT_NEGATIVE,
        (schema.Srs, "domain"): Leaf(names.optional_domain),
        (schema.Verp, "domains"): Each(Leaf(names.domain)),
        (schema.Verp, "delimiter"): Leaf(values.one_of(("+", "-", "=", "_"))),
        (schema.Feedback, "addresses"): Each(Leaf(names.present_mailbox)),
        (schema.BouncePattern, "match"): Leaf(values.expression),
        (schema.Suppression, "duration"): _NOT_NEGATIVE,
        (schema.SenderBreaker, "max_failure_ratio"): Leaf(values.number(0.01, 1)),
        (schema.SenderBreaker, "max_recipients"): Leaf(values.integer(0)),
        (schema.Dsn, "postmaster"): Leaf(names.mailbox),
        (schema.Domain, "mx_override"): Each(Leaf(names.host_and_port), alone=True),
        (schema.Domain, "pool"): Leaf(names.pool),
        (schema.Domain, "strategy"): Leaf(names.strategy),
        (schema.Domain, "url"): Leaf(web.hook_url),
        (schema.Domain, "headers"): Keyed(web.request_header, Leaf(web.request_value)),
        (schema.Delivery, "retry_multiplier"): Leaf(values.number(1, 1000)),
        (schema.Delivery, "retry_jitter_factor"): Leaf(values.number(0, 1)),
        (schema.Delivery, "keep_failed"): _NOT_NEGATIVE,
        (schema.Delivery, "keep_completed"): _NOT_NEGATIVE,
        (schema.Delivery, "shutdown_timeout"): _NOT_NEGATIVE,
        (schema.Delivery, "idempotency_window"): _NOT_NEGATIVE,
        (schema.Delivery, "port"): Leaf(values.integer(1, 65535)),
        (schema.Delivery, "address_families"): Each(Leaf(values.one_of(("ipv6", "ipv4"))), empty=False),
        (schema.Delivery, "source_address"): Leaf(names.ip_address),
        (schema.Delivery, "domains"): Keyed(names.domain_pattern, Section(schema.Domain)),
        (schema.Metrics, "high_priority_domains"): Each(Leaf(names.domain)),
    }
)


def shape_of(cls: type, name: str, kind: object) -> Shape:
    """
    Tell how the attribute `name` of `cls`, of the type `kind`, is read.
    """
    return BY_NAME.get((cls, name)) or _shape_of_type(kind)


def _shape_of_type(kind: object) -> Shape:
    """
    Tell how a value of the type `kind` is read; TypeError where the schema uses a type that no reader knows.
    """
    arguments = get_args(kind)
    if kind in BY_TYPE:
        return Leaf(BY_TYPE[kind])
    if isinstance(kind, type) and attrs.has(kind):
        return Section(kind)
    if get_origin(kind) is Literal:
        return Leaf(values.one_of(arguments))
    if get_origin(kind) is tuple:
        return Each(_shape_of_type(arguments[0]))
    if get_origin(kind) is dict:
        return Keyed(values.text, _shape_of_type(arguments[1]))
    if type(None) in arguments:
        return _shape_of_type(arguments[0])
    raise TypeError(f"no reader for {kind}")
