"""
SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode

import scramp  # type: ignore[import-untyped]  # no annotations
from hypothesis import given, settings
from hypothesis import strategies as st

from empath.smtp.sasl_server import SCRAM, SCRAM_PLUS, begin
from empath.smtp.sasl_server_scram import Opening, conclude
from empath.smtp.sasl_server_steps import Challenge, Proved, Refused, Step, VerifierWanted
from empath.smtp.scram import make_verifier
from tests.smtp.test_sasl_server import StepCase

PENCIL = make_verifier("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
BINDING = {"tls-exporter": b"exported", "tls-server-end-point": b"hash"}
CHANCE = random.Random(3)


class ScramCase(StepCase):
    """
    Talks as a client.
    """

    def answered(self, initial: bytes, mechanism: str = SCRAM, binding: dict[str, bytes] | None = None) -> Challenge:
        """
        Go on until server-first-message.
        """
        wanted = self.of(VerifierWanted, begin(mechanism, initial, binding or {}, CHANCE))
        return self.of(Challenge, wanted.then(PENCIL))

    def run_client(self, client: scramp.ScramClient, binding: dict[str, bytes]) -> Step:
        """
        Let a client of another make log in.
        """
        step = self.answered(client.get_client_first().encode(), client.mechanism_name, binding)
        client.set_server_first(step.data.decode())
        step2 = step.then(client.get_client_final().encode())
        if isinstance(step2, Challenge):
            client.set_server_final(step2.data.decode())
            return step2.then(b"")
        return step2


class ExampleTests(ScramCase):
    """
    RFC 7677 §3.
    """

    NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    SAID = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    FINAL = f"c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()

    def test_the_first_messages(self) -> None:
        """
        The nonce is the client's with more behind it; salt and iterations are the verifier's.
        """
        wanted = self.of(VerifierWanted, begin(SCRAM, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", {}, CHANCE))
        self.assertEqual(wanted.login, "user")
        said = self.of(Challenge, wanted.then(PENCIL)).data
        self.assertRegex(said, rb"^r=rOprNGfwEbeRWgbNEkqO[A-Za-z0-9+/]{24},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096$")

    def test_the_last_messages(self) -> None:
        """
        The proof is taken, our signature is the example's, and an empty response ends it.
        """
        step = conclude(Opening("user", b"n,,", self.SAID, self.NONCE, PENCIL), self.FINAL)
        final = self.of(Challenge, step)
        self.assertEqual(final.data, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        self.assertEqual(final.then(b""), Proved("user"))
        self.malformed(final.then(b"x"))

    def test_wrong_proofs(self) -> None:
        """
        Another password, another nonce, another header or channel, and what is no message at all.
        """
        opening = Opening("user", b"n,,", self.SAID, self.NONCE, PENCIL)
        for message in (
            self.FINAL.replace(b"dHz", b"eHz"),
            self.FINAL.replace(b"k0", b"k1"),
            self.FINAL.replace(b"biws", b"eSws"),
            self.FINAL.replace(b"p=", b"x=y,p="),
        ):
            self.wrong(conclude(opening, message), "user")
        for message in (
            b"",
            b"\xff",
            self.FINAL + b",x=y",
            self.FINAL.replace(b"c=biws", b"c=biw"),
            self.FINAL.replace(b"p=", b"p=="),
            self.FINAL.replace(b"c=", b"m=x,c="),
            self.FINAL.partition(b",p=")[0],
        ):
            self.malformed(conclude(opening, message))


class BeginTests(ScramCase):
    """
    client-first-message.
    """

    def test_malformed(self) -> None:
        """
        What is no such message is refused, mandatory extensions that nobody knows among it.
        """
        for response in (
            b"",
            b"\xff",
            b"n,,n=user",
            b"n,n=user,r=x",
            b"n,,n=,r=x",
            b"n,,n=us=er,r=x",
            b"n,,n=us=2cer,r=x",
            b"n,,n=user,r=",
            b"n,,n=user,r=a\x07",
            b"n,,n=user,r=" + b"x" * 513,
            b"n,,m=x,n=user,r=x",
            b"n,,n=us\x07er,r=x",
            b"n,a=\x07,n=user,r=x",
            b"n,,n=" + b"u" * 256 + b",r=x",
            b"x,,n=user,r=x",
            b"p=,,n=user,r=x",
        ):
            self.malformed(begin(SCRAM, response, {}, CHANCE))

    def test_names(self) -> None:
        """
        Commas and equals signs are written otherwise; the name is prepared; extensions that may be ignored are.
        """
        wanted = begin(SCRAM, b"n,a=a=2Cb=3Dc,n=A=2CB=3Dc,r=x,y=z", {}, CHANCE)
        self.assertEqual(self.of(VerifierWanted, wanted).login, "a,b=c")

    def test_acting_for_another(self) -> None:
        """
        Nobody may.
        """
        self.wrong(begin(SCRAM, b"n,a=ursel,n=kurt,r=x", {}, CHANCE), "kurt")

    def test_nonces_differ(self) -> None:
        """
        Two logins of the same words are not the same.
        """
        first = b"n,,n=user,r=x"
        self.assertNotEqual(self.answered(first).data, self.answered(first).data)


class BindingTests(ScramCase):
    """
    Channel binding (RFC 5802 §6).
    """

    def test_binding_needs_plus(self) -> None:
        """
        A channel is bound with -PLUS, always, and never without.
        """
        self.malformed(begin(SCRAM, b"p=tls-exporter,,n=user,r=x", BINDING, CHANCE))
        self.malformed(begin(SCRAM_PLUS, b"n,,n=user,r=x", BINDING, CHANCE))
        self.malformed(begin(SCRAM_PLUS, b"y,,n=user,r=x", BINDING, CHANCE))

    def test_kinds(self) -> None:
        """
        The client chooses among what the connection has.
        """
        self.wrong(begin(SCRAM_PLUS, b"p=tls-unique,,n=user,r=x", BINDING, CHANCE), "user")
        for kind in BINDING:
            self.answered(f"p={kind},,n=user,r=x".encode(), SCRAM_PLUS, BINDING)

    def test_downgrade(self) -> None:
        """
        A client that could bind and did not see -PLUS, though it was offered, was deceived.
        """
        self.wrong(begin(SCRAM, b"y,,n=user,r=x", BINDING, CHANCE), "user")
        self.answered(b"y,,n=user,r=x")
        self.answered(b"n,,n=user,r=x", SCRAM, BINDING)


class ClientTests(ScramCase):
    """
    A client of another make.
    """

    def test_without_binding(self) -> None:
        """
        It gets in with the password, and with no other.
        """
        self.assertEqual(self.run_client(scramp.ScramClient([SCRAM], "user", "pencil"), {}), Proved("user"))
        self.wrong(self.run_client(scramp.ScramClient([SCRAM], "user", "Pencil"), {}), "user")
        self.assertEqual(self.run_client(scramp.ScramClient([SCRAM], "user", "pencil"), BINDING), Proved("user"))

    def test_with_binding(self) -> None:
        """
        The channel has to be the same at both ends.
        """
        mechanisms = [SCRAM, SCRAM_PLUS]
        bound = scramp.ScramClient(mechanisms, "user", "pencil", ("tls-server-end-point", b"hash"))
        self.assertEqual(self.run_client(bound, BINDING), Proved("user"))
        other = scramp.ScramClient(mechanisms, "user", "pencil", ("tls-server-end-point", b"another"))
        self.wrong(self.run_client(other, BINDING), "user")

    @settings(max_examples=40)
    @given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
    def test_any_name_and_password(self, name: str, password: str) -> None:
        """
        Whoever can be named logs in, with whatever can be a password.
        """
        try:
            verifier = make_verifier(password, bytes(16), 4096)
            client = scramp.ScramClient([SCRAM], name, password)
            first = client.get_client_first().encode()
        except (ValueError, UnicodeEncodeError, scramp.ScramException):
            return
        step = begin(SCRAM, first, {}, CHANCE)
        if isinstance(step, Refused):
            return
        challenge = self.of(Challenge, self.of(VerifierWanted, step).then(verifier))
        client.set_server_first(challenge.data.decode())
        final = self.of(Challenge, challenge.then(client.get_client_final().encode()))
        client.set_server_final(final.data.decode())

    def test_the_nonce_is_ours_too(self) -> None:
        """
        What another login said cannot be said again.
        """
        recorded: list[bytes] = []
        for _ in range(2):
            client = scramp.ScramClient([SCRAM], "user", "pencil", c_nonce="same")
            step = self.answered(client.get_client_first().encode())
            client.set_server_first(step.data.decode())
            recorded.append(client.get_client_final().encode())
            replayed = step.then(recorded[0])
        self.wrong(replayed, "user")
        self.assertNotEqual(b64encode(recorded[0]), b64encode(recorded[1]))
