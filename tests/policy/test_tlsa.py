"""
TLSA records: which count, and what they mean.
"""

from __future__ import annotations

from hashlib import sha256, sha512

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.answer import TlsaRecord
from empath.policy.tlsa import matches, owner, public_key_of, spelled, usable


def der(tag: int, *parts: bytes) -> bytes:
    """
    Encode one element.
    """
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


KEY = der(0x30, der(0x30, b"algorithm"), der(3, b"\0" + b"k" * 200))
SERIAL, NAMES = der(2, b"\1"), (der(0x30, b"signature"), der(0x30, b"issuer"), der(0x30, b"validity"), der(0x30, b"x"))
CERTIFICATE = der(0x30, der(0x30, der(0xA0, der(2, b"\2")), SERIAL, *NAMES, KEY), der(0x30, b"a"), der(3, b"\0s"))
FIRST_VERSION = der(0x30, der(0x30, SERIAL, *NAMES, KEY), der(0x30, b"a"), der(3, b"\0s"))


class TlsaTests(SynchronousTestCase):
    """
    RFC 6698, RFC 7671, RFC 7672.
    """

    def test_every_selector_and_matching_type(self) -> None:
        """
        A record means the whole certificate or its key, itself or a digest of it.
        """
        for selector, chosen in ((0, CERTIFICATE), (1, KEY)):
            for matching, association in ((0, chosen), (1, sha256(chosen).digest()), (2, sha512(chosen).digest())):
                record = TlsaRecord(3, selector, matching, association)
                self.assertEqual(usable([record]), (record,))
                self.assertTrue(matches(record, CERTIFICATE, KEY), record)
                self.assertFalse(matches(record, CERTIFICATE + b"x", KEY + b"x"), record)

    def test_unusable(self) -> None:
        """
        The usages of the public CAs (RFC 7672 §3.1.3), unknown numbers, digests of a wrong length, and what can be
        neither certificate nor key count for nothing.
        """
        good = sha256(KEY).digest()
        for record in (
            TlsaRecord(0, 1, 1, good),
            TlsaRecord(1, 1, 1, good),
            TlsaRecord(4, 1, 1, good),
            TlsaRecord(255, 1, 1, good),
            TlsaRecord(3, 2, 1, good),
            TlsaRecord(3, 1, 3, good),
            TlsaRecord(3, 1, 1, good[1:]),
            TlsaRecord(3, 1, 2, good),
            TlsaRecord(3, 1, 1, b""),
            TlsaRecord(3, 0, 0, b""),
            TlsaRecord(3, 0, 0, b"\x30"),
            TlsaRecord(3, 0, 0, b"\x30\x00"),
            TlsaRecord(3, 0, 0, b"\x31\x01\x01"),
            TlsaRecord(3, 0, 0, KEY[:-1]),
            TlsaRecord(3, 0, 0, KEY + b"\0"),
            TlsaRecord(3, 0, 0, b"\x30\x85\0\0\0\0\1x"),
        ):
            self.assertEqual(usable([record]), (), record)

    def test_agility(self) -> None:
        """
        Only the strongest digest for a usage and selector counts, beside what is there in full (RFC 7671 §9).
        """
        weak = TlsaRecord(3, 1, 1, sha256(KEY).digest())
        strong = TlsaRecord(3, 1, 2, sha512(b"another").digest())
        full = TlsaRecord(3, 1, 0, KEY)
        other_usage = TlsaRecord(2, 1, 1, sha256(KEY).digest())
        other_selector = TlsaRecord(3, 0, 1, sha256(KEY).digest())
        self.assertEqual(
            usable([strong, full, weak, other_usage, other_selector, full]),
            (other_usage, other_selector, full, strong),
        )
        self.assertEqual(usable([weak, full]), (full, weak))

    def test_order(self) -> None:
        """
        The same records make the same demand in whatever order the DNS gives them.
        """
        records = [TlsaRecord(3, 1, 1, sha256(bytes([n])).digest()) for n in range(5)]
        self.assertEqual(usable(records), usable(reversed(records)))

    def test_spelled(self) -> None:
        """
        Records are spelled as in zone files, and lie below port and protocol.
        """
        self.assertEqual(spelled(TlsaRecord(3, 1, 1, b"\xab\x01")), "3 1 1 ab01")
        self.assertEqual(owner("mx.example.org", 25), "_25._tcp.mx.example.org")

    def test_public_key(self) -> None:
        """
        The key is cut out byte by byte; certificates of version 1 have no version.
        """
        self.assertEqual(public_key_of(CERTIFICATE), KEY)
        self.assertEqual(public_key_of(FIRST_VERSION), KEY)

    def test_no_certificate(self) -> None:
        """
        What is no certificate has no key.
        """
        for broken in (b"", b"0", b"garbage", CERTIFICATE[:-1], CERTIFICATE[:60], der(0x30, der(0x30, SERIAL)), KEY):
            self.assertEqual(public_key_of(broken), b"", broken)
