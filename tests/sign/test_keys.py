"""
Requirements on keys and their files.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dkim, DkimKey
from empath.errors import ConfigError, SigningFailed
from empath.sign.keys import LOOK_AGAIN, Keys
from tests.sign.keys import dkim_key, ed25519, pem, rsa, section_of

SMALL = b"""\
-----BEGIN PRIVATE KEY-----
MIIB5QIBADANBgkqhkiG9w0BAQEFAASCAc8wggHLAgEAAmEAqLEWEgvXlfvb2O5A
12vQqmPHBgvRk2hz4xUC+CoUI/F/fy/B5krVm+hX3HWrd9lmH40V23AR044V5DBB
fbDPkAwPeWikem0jUKkd6o4GAsONJGAe6EYg5QyUDiNfXJezAgMBAAECYQCcuvuA
hNQmm7xlTuebvqY+yTlu2qg7Rv706t65Z48S3hvRNbP3nWvd0P9g60sGrUp8K/Y3
CzlLCmYqXfKLnrxnG1BQKZ0EDKOtnfTdACt1VD9WggdXso8RPG4qGSXMGdECMQDb
QP5H7/6XKAEddatxt6ImOj33Qj9IIpIAmhZ847rCP9XgiH8x9k/k6wQnvfzkvw8C
MQDE9r49KcBAExmXWIvdovSY2aHmrNgNDzZhiIgGi8+SamLoHY8SmuTFHyJxZKdN
3R0CMG3gTU4pxHFl1+E2lfuAJl938pPV/DafNIHetoRR78bnDLzgSrX0FSfIayWr
fW/5GwIxAK6tzaXcwz2QMuAAjXpwrNBqIqW7oJhkZ2w0c76qe9p0M2d734k2ibEw
nZFHHQF3GQIwd7mEL4oRyKpys7xjtgnUfemsLvoFufhCipmq3fnOVJ90vxFy9BDc
e7milw7Zkmey
-----END PRIVATE KEY-----
"""  # 768 bits, made for this test: the library makes none


class KeysTests(SynchronousTestCase):
    """
    Reading them, and reading them again.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.clock = Clock()
        self.keys = Keys(self.clock)

    def file(self, content: bytes, name: str = "key.pem") -> Path:
        """
        Write a file.
        """
        path = self.folder / name
        path.write_bytes(content)
        return path

    def use(self, *keys: DkimKey, canonicalization: str = "relaxed/relaxed") -> Keys:
        """
        Use a section.
        """
        self.keys.prepare(Dkim(keys, canonicalization=canonicalization))()  # type: ignore[arg-type]  # one of four
        return self.keys

    def refused(self, content: bytes, **more: str) -> str:
        """
        Tell why a file is refused.
        """
        path = self.file(content)
        error = self.assertRaises(ConfigError, self.keys.prepare, section_of(dkim_key(path, **more)))
        (problem,) = error.problems
        self.assertTrue(problem.startswith(f'delivery.dkim.keys[0].private_key: found "{path}": '), problem)
        return str(problem).rpartition(f'"{path}": ')[2]

    def test_keys_of_every_form(self) -> None:
        """
        RSA by PKCS#1 and PKCS#8, Ed25519 by PKCS#8; the algorithm is the key's own.
        """
        for content, algorithm, quick in (
            (pem(rsa(), PrivateFormat.TraditionalOpenSSL), "rsa-sha256", False),
            (pem(rsa()), "rsa-sha256", False),
            (pem(ed25519()), "ed25519-sha256", True),
        ):
            (key,) = self.use(dkim_key(self.file(content)), canonicalization="simple/relaxed").of("example.org")
            found = key.signatory
            self.assertEqual((found.algorithm, found.domain, found.selector), (algorithm, "example.org", "s"))
            self.assertEqual((found.header_form, found.body_form, key.quick), ("simple", "relaxed", quick))

    def test_what_is_no_key_to_sign_with_is_refused(self) -> None:
        """
        Each with its reason; nothing is changed then.
        """
        self.use(dkim_key(self.file(pem(ed25519()), "good.pem")))
        self.assertEqual(self.refused(b"nonsense"), "no private key in PEM that can be read")
        self.assertIn("an RSA key of 768 bits; verifiers refuse", self.refused(SMALL))
        self.assertIn("neither an RSA nor an Ed25519 key", self.refused(pem(generate_private_key(SECP256R1()))))
        locked = rsa().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        self.assertIn("protected by a password", self.refused(locked))
        self.assertEqual(
            self.refused(pem(rsa()), algorithm="ed25519-sha256"), "a key for rsa-sha256, not for ed25519-sha256"
        )
        self.assertEqual(len(self.keys.of("example.org")), 1)

    def test_a_short_key_is_used_with_a_warning(self) -> None:
        """
        Verifiers take 1024 bits.
        """
        logged: list[LogEvent] = []
        observer = cast(ILogObserver, logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.assertTrue(self.use(dkim_key(self.file(pem(rsa(1024))))).of("example.org"))
        (line,) = [formatEvent(event) for event in logged]
        self.assertEqual(line, "delivery.dkim.keys[0].private_key: an RSA key of 1024 bits is short; 2048 are good")

    def test_all_problems_are_told_at_once(self) -> None:
        """
        By the number of the key.
        """
        missing = self.folder / "missing.pem"
        bad = dkim_key(missing, domain="bad domain")
        error = self.assertRaises(ConfigError, self.keys.prepare, section_of(dkim_key(missing), bad))
        self.assertEqual(
            [problem.split(":")[0] for problem in error.problems],
            ["delivery.dkim.keys[0].private_key", "delivery.dkim.keys[1].domain"],
        )

    def test_keys_are_found_by_domain(self) -> None:
        """
        All of a domain; one above it where it is for subdomains, and nothing nearer has keys.
        """
        path = self.file(pem(ed25519()))
        keys = self.use(
            dkim_key(path, "example.org", "a", subdomains=True),
            dkim_key(path, "example.org", "b"),
            dkim_key(path, "own.example.org", "c"),
            dkim_key(path, "Bücher.example", "d"),
        )
        found = {
            domain: "".join(key.signatory.selector for key in keys.of(domain))
            for domain in (
                "example.org",
                "x.example.org",
                "x.y.example.org",
                "own.example.org",
                "x.own.example.org",
                "xn--bcher-kva.example",
                "x.xn--bcher-kva.example",
                "org",
                "",
                "notexample.org",
            )
        }
        self.assertEqual(
            found,
            {
                "example.org": "ab",
                "x.example.org": "a",
                "x.y.example.org": "a",
                "own.example.org": "c",
                "x.own.example.org": "a",
                "xn--bcher-kva.example": "d",
                "x.xn--bcher-kva.example": "",
                "org": "",
                "": "",
                "notexample.org": "",
            },
        )

    def test_a_file_that_changes_is_read_again(self) -> None:
        """
        Looked at once a second.
        """
        path = self.file(pem(ed25519()))
        keys = self.use(dkim_key(path))
        (before,) = keys.of("example.org")
        path.write_bytes(pem(rsa()))
        self.assertEqual(keys.of("example.org"), (before,))
        self.clock.advance(LOOK_AGAIN)
        (after,) = keys.of("example.org")
        self.assertEqual(after.signatory.algorithm, "rsa-sha256")
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(keys.of("example.org"), (after,))

    def test_a_file_that_becomes_useless_stops_its_mail_until_it_is_mended(self) -> None:
        """
        The older key may be withdrawn already, so nothing is signed with it.
        """
        path = self.file(pem(ed25519()))
        keys = self.use(dkim_key(path))
        path.unlink()
        self.clock.advance(LOOK_AGAIN)
        for _ in range(2):
            self.assertRaises(SigningFailed, keys.of, "example.org")
            self.clock.advance(LOOK_AGAIN)
        path.write_bytes(pem(ed25519(1)))
        self.assertEqual(len(keys.of("example.org")), 1)

    def test_without_keys_there_is_nothing_to_do(self) -> None:
        """
        Which costs one look.
        """
        self.assertFalse(self.keys)
        self.assertTrue(self.use(dkim_key(self.file(pem(ed25519())))))
