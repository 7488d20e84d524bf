"""
What the operator can write of reception: [smtp] with its listeners, [relay] and [auth].
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.units import DAY, MIB, MINUTE, NO_LIMIT, Duration, EndpointText, File, Rate, Size, seconds


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
    "REQUIRETLS",
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
    [relay]: who may send to whom. `recipients` of our domains are known by asking their next hop ("verify"), by a file
    with an address a line, or not at all ("any").
    """

    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    domains: tuple[str, ...] = ()
    recipients: str = "verify"


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
