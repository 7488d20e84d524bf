"""
The world of a test in which clients come to empath: its certificates, its users, a next hop that keeps what arrives.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from pathlib import Path
from typing import Any

import trustme

from tests.e2e.clients import ROOT, Ran
from tests.e2e.harness import EndToEndTestCase, smarthost
from tests.e2e.program import HOSTNAME, Empath, Settings, merged
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Stored

YOU = "you@one.test"
OTHER_NAME = "second.test"
LOGIN = "robot"
PASSWORD = "s3cret words"
SHA512_CRYPT = "$6$saltsalt$JxyXqPrGjdr8LydUGY3gOfS.07I9.GGMxFAC.z.RHjszWVJgj7Xm75T7ruaA9cXrlJe4X5HH/uh5cwYmY58ff0"
HARNESS_PYTHONPATH = {"PYTHONPATH": str(ROOT)}


def scram_verifier(password: str, salt: bytes = b"salt of the test", iterations: int = 4096) -> str:
    """
    Make what RFC 5803 keeps of a password, in the form of a line of the users file.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{texts[0]}${texts[1]}:{texts[2]}"


class ServingCase(EndToEndTestCase):
    """
    Has an authority (`authority_file`), certificates for two names, and users; starts empath with the listeners that a
    test adds, relaying everything to `server`.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = trustme.CA()
        self.authority_file = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.authority_file))
        self.certificate = self.issue("first", HOSTNAME, "localhost")
        self.server = self.peer("127.0.0.11")
        self.users = self.folder / "users"
        self.users.write_text(f"{LOGIN}:{SHA512_CRYPT}\n")

    def issue(self, file: str, *names: str) -> dict[str, str]:
        """
        Write a certificate for `names`, and its key, as the keys of a listener name them.
        """
        made = self.authority.issue_cert(*names)
        chain, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        chain.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        key.chmod(0o600)
        return {"certificate": str(chain), "private_key": str(key)}

    def serving(self, settings: Settings | None = None) -> Empath:
        """
        Make an instance that hands everything to `server`; not started, so that listeners can be added.
        """
        usual: dict[str, Any] = {"auth": {"users": str(self.users)}}
        onward = smarthost(self.server)
        return self.empath(merged(merged(usual, onward), settings or {}), environment=HARNESS_PYTHONPATH)

    def starttls(self, empath: Empath, **more: Any) -> int:
        """
        Add a listener with STARTTLS.
        """
        return empath.listen(**{"tls": "starttls", **self.certificate, **more})

    def implicit(self, empath: Empath, **more: Any) -> int:
        """
        Add a listener with TLS from the first byte.
        """
        return empath.listen(**{"tls": "implicit", **self.certificate, **more})

    def context(self) -> ssl.SSLContext:
        """
        What a Python client verifies us with.
        """
        return ssl.create_default_context(cafile=str(self.authority_file))

    def assert_sent(self, ran: Ran) -> None:
        """
        The client is content.
        """
        self.assertEqual(ran.code, 0, ran.output)

    def arrived(self, recipient: str = YOU) -> Stored:
        """
        Wait for the one message to `recipient`.
        """
        stored = self.wait_arrived(self.server, recipient)
        self.assertEqual(len(self.server.arrived(recipient)), 1)
        return stored

    def received(self, recipient: str = YOU) -> str:
        """
        Wait for the one message to `recipient`; gives empath's Received field, on one line.
        """
        fields = parsed(self.arrived(recipient)).get_all("Received") or [""]
        return " ".join(str(fields[0]).split())

    def assert_with(self, protocol: str, recipient: str = YOU) -> None:
        """
        empath says that the message came by `protocol` (RFC 3848, RFC 6531 §4.3).
        """
        self.assertIn(f" with {protocol} ", self.received(recipient) + " ")

    def file(self, name: str, content: bytes) -> Path:
        """
        Write a file of the test.
        """
        path = self.folder / name
        path.write_bytes(content)
        return path


def parsed(stored: Stored) -> EmailMessage:
    """
    Read a stored message as Python does.
    """
    message = BytesParser(policy=SMTP).parsebytes(stored.content or b"")
    assert isinstance(message, EmailMessage)
    return message


def asked(server: StoringSmtpServer, verb: bytes) -> list[bytes]:
    """
    The commands that a storing server was given and that begin with `verb`.
    """
    return [line for line in list(server.commands) if line.upper().startswith(verb)]
