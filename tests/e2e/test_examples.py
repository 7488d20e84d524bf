"""
examples/secured.toml and examples/sender.toml as they stand, but for ports, paths, names and addresses, which belong
to the test.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import tomllib
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.deliver.shaking import Shown, self_made, tlsa
from tests.e2e.dns_lab import DnsLab, Signing
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.program import Empath, merged
from tests.e2e.sending import ALICE, OUTSIDE, SendingCase, bounce, complaint, mail
from tests.e2e.signed_mail import DOMAIN
from tests.e2e.storing_session import Options

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


class SecuredTests(EndToEndTestCase):
    """
    Each destination gets what the example says of it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.lab = DnsLab(self.folder)
        self.addCleanup(self.lab.stop)
        self.addresses = iter(f"127.0.41.{host}" for host in range(1, 9))

    def context(self, shown: Shown) -> ssl.SSLContext:
        """
        Make the context of a server that shows this.
        """
        key: Any = shown.key
        pem = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
        file = self.folder / "shown.pem"
        file.write_bytes(b"".join(pem + [each.public_bytes(Encoding.PEM) for each in shown.chain]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def destination(self, name: str, shown: Shown | None, pinned: bool = False) -> None:
        """
        Make a destination with one host; `pinned`: with a TLSA record for what it shows.
        """
        address = next(self.addresses)
        self.peer(address, Options(context=None if shown is None else self.context(shown)))
        zone = self.lab.zone(name, Signing.NSEC if pinned else Signing.NONE).mail(address)
        if pinned and shown is not None:
            record = tlsa(shown.chain[0])
            zone.tlsa("mx1", self.peer_port, record.usage, record.selector, record.matching, record.association)

    def example(self) -> Empath:
        """
        Start empath as the example has it.
        """
        settings = tomllib.loads((EXAMPLES / "secured.toml").read_text())
        for section in ("smtp", "spool", "relay"):
            del settings[section]
        for nth, pool in enumerate(settings["delivery"]["pools"]):
            pool["addresses"] = [f"127.0.42.{nth}"]
        ours = {"port": self.peer_port, "dns": {"servers": [self.lab.server], "trust_anchor": str(self.lab.anchors)}}
        empath = self.empath(merged(settings, {"delivery": ours, "log": {"format": "json"}}))
        empath.start()
        return empath

    def test_secured(self) -> None:
        shown = self_made("elsewhere.test")
        self.destination("dane.test", shown, pinned=True)
        self.destination("plain.test", None)
        self.destination("partner.example", None)
        self.destination("bank.example", shown)
        self.lab.serve()
        empath = self.example()
        told = {}
        for domain in ("dane.test", "plain.test", "partner.example", "bank.example"):
            [line] = empath.wait_logged(self.send(empath, [f"you@{domain}"]), '"status"')
            event = json.loads(line)
            told[domain] = (event["status"], event["security"] or event["dsn"])
        self.assertEqual(
            told,
            {
                "dane.test": ("sent", "dane"),
                "plain.test": ("sent", "2.0.0"),
                "partner.example": ("deferred", "4.7.4"),
                "bank.example": ("deferred", "4.7.5"),
            },
        )


class SenderTests(SendingCase):
    """
    What the example says of each part of it is so. All of them at work at once: test_delivery_together.
    """

    def test_what_is_handed_in(self) -> None:
        """
        It is signed by both keys and leaves by a path of its own; an application gets it signed, too. Nobody is whom
        the senders file does not let him be.
        """
        self.start()
        self.hand_in(mail("hello"), "you@one.test", f"help@tickets.{DOMAIN}")
        [(path, content)] = self.came("you@one.test")
        self.assertIn("alice+you=one.test=", path)
        self.assert_signed(content)
        self.sender.wait_logged(f"to=<help@tickets.{DOMAIN}>", "status=sent (250 2.0.0 200 OK)")
        [request] = self.hook.requests
        self.assertEqual((request.signed, json.loads(request.body)["envelope"]["sender"]), (True, ALICE))
        with self.assertRaises(smtplib.SMTPSenderRefused) as refusal:
            self.hand_in(mail("forged"), "you@one.test", sender=f"boss@{DOMAIN}")
        self.assertEqual(refusal.exception.smtp_code, 553)

    def test_what_comes_back(self) -> None:
        """
        A complaint stops mail to who complained; a bounce of what was forwarded finds its sender, and opens no relay.
        """
        self.start()
        self.hand_in(mail("offer"), "you@one.test")
        [sent] = self.came("you@one.test")
        self.assertEqual(self.from_outside("fbl@one.test", f"complaints@{DOMAIN}", complaint(*sent)).code, 250)
        self.sender.wait_logged("complaint received: to=<you@one.test>")
        self.assertIn("550 5.7.1 the address is on the suppression list", self.refused("you@one.test"))
        self.from_outside(OUTSIDE, f"fwd@{DOMAIN}", mail("news", author=OUTSIDE))
        [(path, _)] = self.came("far@one.test")
        self.assertRegex(path, rf"^SRS0=\w+=\w+=two\.test=eve@srs\.{DOMAIN}$")
        self.assertEqual(self.from_outside("", path, bounce(path)).code, 250)
        self.came(OUTSIDE, server=self.two)
        self.assertEqual(self.from_outside("spam@one.test", path, mail("buy")).code, 550)
