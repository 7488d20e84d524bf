"""
The test kit: scripted SMTP servers, an MTA in memory with virtual time, and fakes of what a module is given.

A name is imported when it is first used: pytest's plugin lies in this package, and costs those nothing who do not use
it.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from empath.testing.cases import MtaMixin
    from empath.testing.certificates import self_signed
    from empath.testing.client import Client, Disconnected, NoReply
    from empath.testing.fake_dns import FakeDns
    from empath.testing.kept import FakeStorage
    from empath.testing.made import address, attempt, content, message, recipient, session, transaction
    from empath.testing.mock_message import MockMessage
    from empath.testing.mock_session import MockSession
    from empath.testing.mock_smtp import MockServer, MockSmtpServer
    from empath.testing.mta import Mta
    from empath.testing.services import FakeServices
    from empath.testing.web import WebRequest, WebServer

__all__ = (
    "Client",
    "Disconnected",
    "FakeDns",
    "FakeServices",
    "FakeStorage",
    "MockMessage",
    "MockServer",
    "MockSession",
    "MockSmtpServer",
    "Mta",
    "MtaMixin",
    "NoReply",
    "WebRequest",
    "WebServer",
    "address",
    "attempt",
    "content",
    "message",
    "recipient",
    "self_signed",
    "session",
    "transaction",
)

_WHERE: Final = MappingProxyType(
    {
        "cases": "MtaMixin",
        "certificates": "self_signed",
        "client": "Client Disconnected NoReply",
        "fake_dns": "FakeDns",
        "kept": "FakeStorage",
        "made": "address attempt content message recipient session transaction",
        "mock_message": "MockMessage",
        "mock_session": "MockSession",
        "mock_smtp": "MockServer MockSmtpServer",
        "mta": "Mta",
        "services": "FakeServices",
        "web": "WebRequest WebServer",
    }
)


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names.split():
            return getattr(import_module(f"empath.testing.{module}"), name)
    raise AttributeError(f"module 'empath.testing' has no attribute {name!r}")
