"""
The test kit: scripted SMTP servers, an MTA in memory with virtual time, and fakes of what a module is given.
"""

from __future__ import annotations

from empath.testing.certificates import self_signed
from empath.testing.client import Client, Disconnected, NoReply
from empath.testing.fake_dns import FakeDns
from empath.testing.kept import FakeStorage
from empath.testing.mock_session import MockMessage, MockSession
from empath.testing.mock_smtp import MockServer, MockSmtpServer
from empath.testing.mta import Mta

__all__ = (
    "Client",
    "Disconnected",
    "FakeDns",
    "FakeStorage",
    "MockMessage",
    "MockServer",
    "MockSession",
    "MockSmtpServer",
    "Mta",
    "NoReply",
    "self_signed",
)
