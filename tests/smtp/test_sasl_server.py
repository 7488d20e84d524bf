"""
Finding out who a client is: PLAIN, LOGIN, OAUTHBEARER, XOAUTH2, and what is offered.
"""

from __future__ import annotations

import random
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.sasl_server import MECHANISMS, begin, offered
from empath.smtp.sasl_server_bearer import OAUTHBEARER_ERROR, XOAUTH2_ERROR
from empath.smtp.sasl_server_steps import (
    BAD_LOGIN,
    MALFORMED,
    Challenge,
    PasswordClaim,
    Proved,
    Refused,
    Step,
    TokenClaim,
    VerifierWanted,
)

CHANCE = random.Random(1)
S = TypeVar("S")


def first(mechanism: str, initial: bytes | None = None) -> Step:
    """
    Begin without a channel binding.
    """
    return begin(mechanism, initial, {}, CHANCE)


class StepCase(SynchronousTestCase):
    """
    Looks at steps.
    """

    def of(self, kind: type[S], step: object) -> S:
        """
        Expect a kind of step.
        """
        if not isinstance(step, kind):
            self.fail(f"{step} is no {kind.__name__}")
        return step

    def malformed(self, step: Step) -> None:
        """
        Expect a refusal of the form.
        """
        self.assertIs(self.of(Refused, step).reply, MALFORMED)

    def wrong(self, step: Step, login: str) -> None:
        """
        Expect a refusal of the login, with a reply that says nothing else.
        """
        refused = self.of(Refused, step)
        self.assertIs(refused.reply, BAD_LOGIN)
        self.assertEqual(refused.login, login)
        self.assertTrue(refused.reason)


class OfferTests(StepCase):
    """
    What EHLO lists.
    """

    def test_best_first(self) -> None:
        """
        Known mechanisms in the order in which clients should try them.
        """
        self.assertEqual(offered(["LOGIN", "PLAIN", "SCRAM-SHA-256"], {}), ("SCRAM-SHA-256", "PLAIN", "LOGIN"))
        self.assertEqual(offered(("XOAUTH2", "OAUTHBEARER"), {"tls-exporter": b""}), ("OAUTHBEARER", "XOAUTH2"))
        self.assertEqual(offered((), {}), ())

    def test_channel_binding(self) -> None:
        """
        -PLUS stands beside SCRAM-SHA-256 where the channel can be bound, and only there; nothing unknown is listed.
        """
        self.assertEqual(
            offered(["SCRAM-SHA-256", "GSSAPI"], {"tls-exporter": b"x"}), ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
        )
        self.assertEqual(offered(["SCRAM-SHA-256-PLUS", "PLAIN"], {}), ("PLAIN",))

    def test_every_mechanism_begins(self) -> None:
        """
        Without an initial response each one waits for its first; only LOGIN prompts.
        """
        for mechanism in MECHANISMS:
            step = self.of(Challenge, first(mechanism))
            self.assertEqual(step.data, b"Username:" if mechanism == "LOGIN" else b"")
        self.assertRaises(ValueError, first, "GSSAPI")


class PlainTests(StepCase):
    """
    RFC 4616.
    """

    def test_examples(self) -> None:
        """
        RFC 4616 §4: with and without the initial response.
        """
        claim = self.of(PasswordClaim, first("PLAIN", b"\0tim\0tanstaaftanstaaf"))
        self.assertEqual((claim.login, claim.password), ("tim", "tanstaaftanstaaf"))
        self.assertEqual(claim.then("tim"), Proved("tim"))
        later = self.of(Challenge, first("PLAIN")).then(b"\0tim\0tanstaaftanstaaf")
        self.assertEqual(later, claim)

    def test_wrong_password(self) -> None:
        """
        The reply says nothing but no.
        """
        self.wrong(self.of(PasswordClaim, first("PLAIN", b"\0tim\0x")).then(None), "tim")

    def test_nobody_is_nobody(self) -> None:
        """
        An authenticator that answers with an empty name lets nobody in.
        """
        self.wrong(self.of(PasswordClaim, first("PLAIN", b"\0tim\0x")).then(""), "tim")
        token = self.of(TokenClaim, first("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01"))
        self.of(Challenge, token.then(""))

    def test_secrets_are_not_shown(self) -> None:
        """
        Neither password nor token comes into a log by accident.
        """
        for step in (first("PLAIN", b"\0tim\0s3cret"), first("XOAUTH2", b"user=tim\x01auth=Bearer s3cret\x01\x01")):
            self.assertNotIn("s3cret", repr(step))

    def test_names_are_prepared(self) -> None:
        """
        Letter case and ways to write a character do not count in names, but in passwords they do.
        """
        claim = self.of(PasswordClaim, first("PLAIN", "\0TI\u00adM\u00c9\0P\u00ad".encode()))
        self.assertEqual((claim.login, claim.password), ("tim\u00e9", "P\u00ad"))

    def test_acting_for_another(self) -> None:
        """
        An authorization identity is taken if it is the login itself.
        """
        self.of(PasswordClaim, first("PLAIN", b"tim\0tim\0x"))
        self.of(PasswordClaim, first("PLAIN", b"Tim\0tim\0x"))
        self.wrong(first("PLAIN", b"Ursel\0Kurt\0xipj3plmq"), "kurt")

    def test_malformed(self) -> None:
        """
        What is not three fields of UTF-8, each neither empty nor too long, is refused.
        """
        for response in (
            b"",
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0x",
            b"\0tim\0x\0",
            b"a\0b\0c\0d",
            b"\0\xff\0x",
            b"\0tim\0\xff",
            b"\xff\0tim\0x",
            b"\0t\x07m\0x",
            b"\0t\nm\0x",
            b"\0" + b"t" * 256 + b"\0x",
            b"\0tim\0" + b"x" * 1025,
        ):
            self.malformed(first("PLAIN", response))
        self.of(PasswordClaim, first("PLAIN", b"\0" + b"t" * 255 + b"\0" + b"x" * 1024))


class LoginTests(StepCase):
    """
    LOGIN, in the two ways clients use it.
    """

    def test_prompts(self) -> None:
        """
        The prompts are those that all clients know.
        """
        name = self.of(Challenge, first("LOGIN"))
        self.assertEqual(name.data, b"Username:")
        password = self.of(Challenge, name.then(b"tim"))
        self.assertEqual(password.data, b"Password:")
        claim = self.of(PasswordClaim, password.then(b"secret"))
        self.assertEqual((claim.login, claim.password), ("tim", "secret"))
        self.assertEqual(claim.then("tim"), Proved("tim"))
        self.wrong(claim.then(None), "tim")

    def test_initial_response(self) -> None:
        """
        The name may come with the command.
        """
        self.assertEqual(self.of(Challenge, first("LOGIN", b"tim")).data, b"Password:")

    def test_malformed(self) -> None:
        """
        Names and passwords that can be none are refused.
        """
        for name in (b"", b"\0", b"\xff", b"t" * 256):
            self.malformed(first("LOGIN", name))
        for password in (b"", b"a\0b", b"\xff", b"x" * 1025):
            self.malformed(self.of(Challenge, first("LOGIN", b"tim")).then(password))


class BearerTests(StepCase):
    """
    OAUTHBEARER (RFC 7628) and XOAUTH2.
    """

    RFC7628 = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )

    def test_the_example_of_rfc_7628(self) -> None:
        """
        RFC 7628 §4.1.
        """
        claim = self.of(TokenClaim, first("OAUTHBEARER", self.RFC7628))
        self.assertEqual((claim.login, claim.token), ("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="))
        self.assertEqual(claim.then("user@example.com"), Proved("user@example.com"))

    def test_failure_has_a_challenge(self) -> None:
        """
        RFC 7628 §4.3: the error is JSON, and whatever answers it ends the login.
        """
        for dummy in (b"\x01", b"", b"anything"):
            challenge = self.of(Challenge, self.of(TokenClaim, first("OAUTHBEARER", self.RFC7628)).then(None))
            self.assertEqual(challenge.data, OAUTHBEARER_ERROR)
            self.wrong(challenge.then(dummy), "user@example.com")

    def test_names(self) -> None:
        """
        A name is not needed, and may hold what has to be written otherwise.
        """
        for header, login in ((b"n,,", ""), (b"y,,", ""), (b"n,a=a=2Cb=3Dc,", "a,b=c")):
            claim = self.of(TokenClaim, first("OAUTHBEARER", header + b"\x01auth=bearer x\x01\x01"))
            self.assertEqual(claim.login, login)

    def test_without_a_token(self) -> None:
        """
        Who has none hears what is needed, as RFC 7628 §3.2.1 lets clients find out.
        """
        for pairs in (
            b"\x01",
            b"auth=\x01\x01",
            b"host=x\x01\x01",
            b"auth=Basic eDp5\x01\x01",
            b"auth=Bearer a b\x01\x01",
        ):
            challenge = self.of(Challenge, first("OAUTHBEARER", b"n,,\x01" + pairs))
            self.assertEqual(challenge.data, OAUTHBEARER_ERROR)
            self.wrong(challenge.then(b"\x01"), "")

    def test_malformed(self) -> None:
        """
        Another form is refused at once.
        """
        auth = b"\x01auth=Bearer x\x01\x01"
        for response in (
            b"",
            b"n,,",
            b"n,," + auth[:-1],
            b"p=tls-exporter,," + auth,
            b"n,a=," + auth,
            b"n,a=a=b," + auth,
            b"n,a=\x07," + auth,
            b"n,a=\xff," + auth,
            b"n,," + auth + b"\x01",
            b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            b"n,,\x01" + b"\x01\x01",
            b"x" + auth,
        ):
            self.malformed(first("OAUTHBEARER", response))

    def test_xoauth2(self) -> None:
        """
        The form that Google and Microsoft describe; a failure is told in JSON there, too.
        """
        claim = self.of(TokenClaim, first("XOAUTH2", b"user=Tim@example.com\x01auth=Bearer ya29.vF9d\x01\x01"))
        self.assertEqual((claim.login, claim.token), ("tim@example.com", "ya29.vF9d"))
        self.assertEqual(claim.then("tim@example.com"), Proved("tim@example.com"))
        challenge = self.of(Challenge, claim.then(None))
        self.assertEqual(challenge.data, XOAUTH2_ERROR)
        self.wrong(challenge.then(b""), "tim@example.com")

    def test_xoauth2_malformed(self) -> None:
        """
        Without a user there is no login.
        """
        for response in (
            b"",
            b"\x01",
            b"user=\x01auth=Bearer x\x01\x01",
            b"auth=Bearer x\x01\x01",
            b"user=\x07\x01\x01",
        ):
            self.malformed(first("XOAUTH2", response))


class AnyInputTests(SynchronousTestCase):
    """
    Whatever a client says.
    """

    @given(st.sampled_from(MECHANISMS), st.lists(st.binary(max_size=60), max_size=4), st.booleans())
    def test_nobody_gets_in_unasked(self, mechanism: str, responses: list[bytes], at_once: bool) -> None:
        """
        No input raises, and without the authenticator's answer none proves anything.
        """
        step = begin(mechanism, responses.pop() if at_once and responses else None, {"tls-exporter": b"x"}, CHANCE)
        for response in responses:
            if not isinstance(step, Challenge):
                break
            step = step.then(response)
        assert isinstance(step, Challenge | PasswordClaim | TokenClaim | VerifierWanted | Refused)

    @given(st.text(min_size=1, max_size=50), st.text(min_size=1, max_size=50))
    def test_what_plain_says_is_claimed(self, login: str, password: str) -> None:
        """
        A name and a password that can be said are the ones that are checked, or are refused.
        """
        try:
            step = first("PLAIN", f"\0{login}\0{password}".encode())
        except UnicodeEncodeError:
            return
        if isinstance(step, PasswordClaim):
            assert step.password == password
            assert first("PLAIN", f"\0{step.login}\0{password}".encode()) == step
