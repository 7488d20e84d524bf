"""
Certificates of ours.
"""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import DeliveryTls, Domain
from empath.config.units import File
from empath.deliver.identities import Identities
from empath.deliver.routing import Routing
from empath.errors import ConfigError
from tests.deliver.shaking import Shown, self_made


class IdentitiesTests(SynchronousTestCase):
    """
    Files that are read, and read again.
    """

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.clock = Clock()
        self.identities = Identities(self.clock)

    def write(self, name: str, shown: Shown) -> tuple[File, File]:
        """
        Write a certificate and its key.
        """
        paths = File(os.path.join(self.folder, f"{name}.crt")), File(os.path.join(self.folder, f"{name}.key"))
        key: Any = shown.key
        for path, content in (
            (paths[0], b"".join(each.public_bytes(Encoding.PEM) for each in shown.chain)),
            (paths[1], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        ):
            with open(path, "wb") as file:
                file.write(content)
        return paths

    def section(self, certificate: File, private_key: File) -> Section:
        """
        Make a section with one certificate for all, and another one for a domain.
        """
        own = self.write("own", self_made("own.example"))
        return Section(
            tls=DeliveryTls(certificate=certificate, private_key=private_key),
            domains={"example.org": Domain(certificate=own[0], private_key=own[1]), "example.com": Domain()},
        )

    def test_found(self) -> None:
        """
        A route names the certificate of its domain, else the one for all; a name that is none finds nothing.
        """
        general = self_made("general.example")
        section = self.section(*self.write("general", general))
        self.identities.use(section)
        routing = Routing(section)
        for domain, name in (
            ("example.org", "own.example"),
            ("example.com", "general.example"),
            ("x", "general.example"),
        ):
            found = self.identities.find(routing.find(domain).identity)
            assert found is not None
            self.assertEqual(found.names, (name,))
        self.assertIsNone(self.identities.find("elsewhere"))

    def test_renewed(self) -> None:
        """
        Files are looked at once a second at the most; what has changed is used, if it can be.
        """
        paths = self.write("general", self_made("old.example"))
        self.identities.use(self.section(*paths))

        def name() -> str:
            found = self.identities.find(paths[0])
            assert found is not None
            return found.names[0]

        self.write("general", self_made("new.example"))
        self.assertEqual(name(), "old.example")
        self.clock.advance(1)
        self.assertEqual(name(), "new.example")
        with open(paths[1], "wb") as file:
            file.write(b"nonsense")
        self.clock.advance(1)
        self.assertEqual(name(), "new.example")
        self.clock.advance(1)
        self.assertEqual(name(), "new.example")

    def test_their_ends(self) -> None:
        """
        Each is told by its file; the one that is shown, once the file has changed.
        """
        paths = self.write("general", self_made("old.example"))
        self.identities.use(self.section(*paths))
        found = self.identities.find(paths[0])
        assert found is not None
        self.assertEqual(self.identities.ends()[paths[0]], found.expires)

    def test_unusable(self) -> None:
        """
        Files of no use are a ConfigError that names the key, and change nothing.
        """
        paths = self.write("general", self_made("old.example"))
        self.identities.use(self.section(*paths))
        other = self.write("other", self_made("other.example"))
        for section, key in (
            (self.section(paths[0], other[1]), "delivery.tls.private_key"),
            (self.section(File(os.path.join(self.folder, "absent")), other[1]), "delivery.tls.certificate"),
        ):
            error = self.assertRaises(ConfigError, self.identities.use, section)
            self.assertIn(key, str(error))
            self.assertIsNotNone(self.identities.find(paths[0]))
