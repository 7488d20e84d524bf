"""
Verifiers of all kinds.
"""

from __future__ import annotations

import random

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from empath.auth.hashes import MAX_VERIFIER, Kind, make, read_verifier
from tests.auth.made import argon2, b64, bcrypted, scram, sha512

MAKE = {Kind.ARGON2: argon2, Kind.BCRYPT: bcrypted, Kind.SHA512_CRYPT: sha512, Kind.SCRAM: scram}


class VerifierTests(SynchronousTestCase):
    """
    Read and checked.
    """

    def refused(self, text: str, why: str = "") -> None:
        """
        Expect that a line says what is wrong.
        """
        with self.assertRaises(ValueError) as caught:
            read_verifier(text)
        self.assertIn(why, str(caught.exception))

    def test_every_kind(self) -> None:
        """
        The password is accepted, another is not; the verifier is not shown.
        """
        for kind, made in MAKE.items():
            verifier = read_verifier(made("pässword"))
            self.assertIs(verifier.kind, kind)
            self.assertTrue(verifier.accepts("pässword"))
            self.assertFalse(verifier.accepts("password"))
            self.assertNotIn(verifier.text, repr(verifier))
            self.assertEqual(verifier.scram is not None, kind is Kind.SCRAM)
            self.assertEqual(verifier.cost, read_verifier(made("other")).cost)

    def test_published_vectors(self) -> None:
        """
        What the specifications of sha512-crypt and bcrypt, and argon2's own tests, show.
        """
        for text, password in (
            (
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sb"
                "HbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
                "Hello world!",
            ),
            ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
            (
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "password",
            ),
        ):
            self.assertTrue(read_verifier(text).accepts(password), text)

    def test_variants(self) -> None:
        """
        bcrypt under its other names, argon2i and argon2d.
        """
        made = bcrypted("x")
        for prefix in ("$2a$", "$2y$"):
            self.assertTrue(read_verifier(prefix + made[4:]).accepts("x"))
        self.assertEqual(read_verifier(f"$argon2d$m=64,t=1,p=1${b64(8)}${b64(32)}").cost, "argon2d m=64,t=1,p=1")

    def test_long_passwords_of_others(self) -> None:
        """
        What bcrypt cut off where the file was made is cut off here.
        """
        made = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
        self.assertTrue(read_verifier(made).accepts("x" * 100))

    def test_what_costs_too_much(self) -> None:
        """
        Memory, passes, lanes and rounds are bounded when the line is read, not when somebody logs in.
        """
        tail = f"${b64(16)}${b64(32)}"
        self.refused(f"$argon2id$v=19$m=4194304,t=1,p=1{tail}", "costs too much")
        self.refused(f"$argon2id$v=19$m=65536,t=100000,p=1{tail}", "costs too much")
        self.refused(f"$argon2id$v=19$m=65536,t=1,p=65{tail}", "costs too much")
        self.refused("$2b$17$" + bcrypted("x")[7:], "cost 17")
        self.refused("$2b$03$" + bcrypted("x")[7:], "cost 3")
        self.refused(sha512("x").replace("rounds=1000$", "rounds=1000001$"), "1000001 rounds")
        self.refused(scram("x").replace("$4096:", "$9999999:"), "iterations")

    def test_what_is_none(self) -> None:
        """
        Every kind's wrong forms, and kinds that nobody knows.
        """
        good, tail = argon2("x"), f"${b64(16)}${b64(32)}"
        for text in (
            "",
            "secret",
            "$1$salt$hash",
            "$y$j9T$salt$hash",
            "é",
            "x" * (MAX_VERIFIER + 1),
            good + "=",
            good.replace("v=19", "v=1"),
            "$argon2id$v=19$m=64,t=1,p=1$$",
            f"$argon2id$v=19$m=64,t=0,p=1{tail}",
            f"$argon2id$v=19$m=64,t=1,p=0{tail}",
            f"$argon2id$v=19$m=64,t=1,p=9{tail}",
            f"$argon2id$v=19$m=064,t=1,p=1{tail}",
            f"$argon2id$v=19$m=-1,t=1,p=1{tail}",
            f"$argon2id$v=19$m=64,t=1,p=1${b64(7)}${b64(32)}",
            f"$argon2id$v=19$m=64,t=1,p=1${b64(16)}${b64(3)}",
            f"$argon2id$v=19$m=64,t=1,p=1$AAAAA${b64(32)}",
            f"$argon2id$v=19$m=64,t=1,p=1${b64(16)[:-1]}B${b64(32)}",
            bcrypted("x")[:-1],
            bcrypted("x") + "x",
            bcrypted("x").replace("$2b$", "$2x$"),
            "$2b$04$" + "/" * 53,
            sha512("x")[:-1],
            "$6$salt$",
            "$6$rounds=x$salt$" + "a" * 86,
            "$6$rounds=999$salt$" + "a" * 86,
            "SCRAM-SHA-256$x",
        ):
            self.refused(text)

    def test_made(self) -> None:
        """
        What we make, we read, at a cost that is allowed.
        """
        for kind in Kind:
            verifier = read_verifier(make(kind, "x", random.Random(1)))
            self.assertIs(verifier.kind, kind)
            self.assertTrue(verifier.accepts("x"))

    def test_passwords_that_cannot_be_kept(self) -> None:
        """
        bcrypt would pass over the end of a long one, SCRAM knows no control characters.
        """
        self.assertRaises(ValueError, make, Kind.BCRYPT, "x" * 73, random.Random(1))
        self.assertRaises(ValueError, make, Kind.SCRAM, "x\x07", random.Random(1))
