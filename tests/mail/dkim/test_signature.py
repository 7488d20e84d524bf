"""
Requirements on the DKIM-Signature field.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from itertools import product

import dkim  # type: ignore[import-untyped]  # it has no annotations
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dkim.fields import Choice, fields_of
from empath.mail.dkim.signature import Form, Signatory, body_digest, draft, signatories

HEADER = b"From: A <a@example.org>\r\nSubject: a  folded\r\n\t one \r\nTo: b@example.net\r\n"
BODY = b"\r\nhello \t world \r\n\r\n\r\n"
CHOICE = Choice(("Subject", "To", "Cc"), ("From", "Cc"))
FORMS: tuple[Form, ...] = ("simple", "relaxed")


class SignatureTests(SynchronousTestCase):
    """
    The field, judged by dkimpy too.
    """

    def signed(self, signatory: Signatory, key: Ed25519PrivateKey, expires: int | None = None) -> bytes:
        """
        Sign the message; gives all of it.
        """
        selection = CHOICE.of(fields_of(HEADER) or ())
        made = draft(signatory, selection, body_digest(BODY, signatory.body_form), 1_700_000_000, expires)
        return made.signed(key.sign(made.digest)) + HEADER + BODY

    def test_dkimpy_verifies_every_form(self) -> None:
        """
        RFC 8463: what Ed25519 signs is the hash.
        """
        key = Ed25519PrivateKey.generate()
        record = b"v=DKIM1; k=ed25519; p=" + b64encode(key.public_key().public_bytes_raw())
        for header_form, body_form in product(FORMS, FORMS):
            signatory = Signatory("example.org", "s1", "ed25519-sha256", header_form, body_form)
            message = self.signed(signatory, key)
            self.assertTrue(dkim.verify(message, dnsfunc=lambda *_, **__: record), message)
            self.assertFalse(dkim.verify(message.replace(b"hello", b"Hello"), dnsfunc=lambda *_, **__: record))
            for changed in (b"Cc: c@example.net\r\n", b"From: c@example.net\r\n"):
                self.assertFalse(
                    dkim.verify(message.replace(b"Subject:", changed + b"Subject:"), dnsfunc=lambda *_, **__: record)
                )

    def test_its_lines_are_short_and_its_tags_those_of_the_rfc(self) -> None:
        """
        No l=, which would let anybody add to the body (RFC 6376 §8.2).
        """
        key = Ed25519PrivateKey.generate()
        signatory = Signatory("example.org", "s1", "ed25519-sha256")
        field = self.signed(signatory, key, 1_700_086_400)[: -len(HEADER + BODY)]
        self.assertTrue(field.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\t"))
        self.assertLess(max(map(len, field.split(b"\r\n"))), 79)
        tags = [tag.split(b"=")[0].strip() for tag in field.partition(b":")[2].split(b";")]
        self.assertEqual(tags, [b"v", b"a", b"c", b"d", b"s", b"t", b"x", b"bh", b"h", b"b"])
        self.assertIn(b"t=1700000000; x=1700086400;", field)
        self.assertIn(b"h=From:From:Subject:To:Cc;", field)

    def test_many_names_take_several_lines(self) -> None:
        """
        None is divided, and a very long one has a line of its own.
        """
        for count in (20, 120):
            names = ("X" * 90, *(f"X-Field-{number}" for number in range(count)))
            selection = Choice(names, names).of(fields_of(HEADER) or ())
            text = draft(Signatory("example.org", "s", "rsa-sha256"), selection, b"", 0).text.decode()
            listed = re.search(r"\th=([^;]*);", text)
            self.assertEqual((listed or [""])[1].replace("\r\n\t", "").split(":"), ["From", *names])
            self.assertLess(max(len(line) for line in text.split("\r\n") if "XXX" not in line), 79)

    def test_a_long_signature_is_folded(self) -> None:
        """
        That of an RSA key of 4096 bits has 684 characters.
        """
        made = draft(Signatory("example.org", "s", "rsa-sha256"), CHOICE.of(fields_of(HEADER) or ()), b"", 0)
        field = made.signed(bytes(512))
        self.assertLess(max(map(len, field.split(b"\r\n"))), 79)
        self.assertTrue(field.startswith(made.text))
        self.assertEqual(len(field.removeprefix(made.text).replace(b"\r\n\t", b"").strip()), 684)

    def test_what_is_signed_is_the_fields_and_the_field_itself(self) -> None:
        """
        Without its line end (RFC 6376 §3.7).
        """
        selection = CHOICE.of(fields_of(HEADER) or ())
        made = draft(Signatory("example.org", "s", "rsa-sha256", "simple"), selection, b"", 0)
        self.assertEqual(made.digest, sha256(HEADER + made.text).digest())

    def test_signatures_that_are_there_are_known(self) -> None:
        """
        By domain and selector, whatever else they say, and however broken they are.
        """
        fields = fields_of(
            b"DKIM-Signature: v=1; d=Example.ORG;\r\n\ts = One ; b=\r\nDKIM-SIGNATURE: nonsense; \xff\r\nFrom: x\r\n"
        )
        self.assertEqual(signatories(fields or ()), {("example.org", "one"), ("", "")})
