"""
What people may see of a dialogue.
"""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.masking import LONGEST, MASKED, MECHANISMS, Masking, cut

SECRET = b64encode(b"\0tim\0tanstaaf")


class MaskingTests(SynchronousTestCase):
    """
    Passwords are not shown, whichever way they come.
    """

    def setUp(self) -> None:
        self.masking = Masking()

    def commands(self, *lines: bytes) -> list[str]:
        """
        Say lines; tell what is shown.
        """
        return [self.masking.command(line) for line in lines]

    def test_what_is_no_secret_is_shown(self) -> None:
        """
        Envelopes, verbs in any case, an empty line, a dot, what cannot be decoded.
        """
        lines = [
            "EHLO client.example",
            "mail FROM:<a@b.example> AUTH=<>",
            "DATA",
            "",
            ".",
            "GET / HTTP/1.1",
            "NONSENSE!",
        ]
        self.assertEqual(self.commands(*(line.encode() for line in lines)), lines)
        self.assertEqual(self.commands(b"NOOP \xff"), ["NOOP \\xff"])

    def test_of_auth_only_the_mechanism_is_shown(self) -> None:
        """
        With an initial response, with several, with none, with a mechanism that nobody knows, glued together.
        """
        self.assertEqual(self.commands(b"AUTH PLAIN " + SECRET), [f"AUTH PLAIN {MASKED}"])
        self.assertEqual(self.commands(b"auth login a b"), [f"auth login {MASKED}"])
        self.assertEqual(self.commands(b"AUTH LOGIN", b"AUTH"), ["AUTH LOGIN", "AUTH"])
        self.assertEqual(self.commands(b"AUTH " + SECRET), [f"AUTH {MASKED}"])
        self.assertEqual(self.commands(b"AUTH\tPLAIN\t" + SECRET), [f"AUTH PLAIN {MASKED}"])
        self.assertEqual(self.commands(b"AUTHPLAIN " + SECRET, b"AUTH=PLAIN"), [f"AUTH {MASKED}"] * 2)

    def test_responses_behind_a_refused_auth_are_not_shown(self) -> None:
        """
        A client that pipelines its login to a server without AUTH: its responses are taken for commands.
        """
        said = self.commands(b"AUTH LOGIN", b"dGlt", b"tanstaaf!", b"MAIL FROM:<a@b.example>", b"x y z")
        self.assertEqual(said, ["AUTH LOGIN", MASKED, MASKED, "MAIL FROM:<a@b.example>", MASKED])

    def test_what_looks_like_a_response_is_not_shown(self) -> None:
        """
        Also where AUTH was not seen: the watch began behind it, or the verb was misspelt.
        """
        self.assertEqual(self.commands(SECRET, b"AUHT PLAIN x!", b"xyz"), [MASKED, MASKED, "xyz"])

    def test_challenges_are_not_shown(self) -> None:
        """
        They are half of what it takes to guess a password in peace (SCRAM).
        """
        replies = [b"334 VXNlcm5hbWU6", b"334 ", b"334", b"334-x", b"235 2.7.0 ok"]
        told = [f"334 {MASKED}", "334", "334", f"334 {MASKED}", "235 2.7.0 ok"]
        self.assertEqual([self.masking.reply(line) for line in replies], told)

    def test_a_secret_that_the_peer_repeats_is_not_shown(self) -> None:
        """
        Some servers quote the command that they do not understand.
        """
        self.commands(b"AUTH PLAIN " + SECRET)
        self.assertEqual(self.masking.reply(b"500 what is " + SECRET + b"?"), f"500 what is {MASKED}?")
        self.assertEqual(self.commands(b"NOOP " + SECRET), [f"NOOP {MASKED}"])

    def test_secrets_that_are_remembered_are_bounded(self) -> None:
        """
        Of many the last ones are, and none that is so short that it would be found everywhere.
        """
        self.commands(b"AUTH PLAIN oldestsecret", *(b"AUTH PLAIN secret%d" % at for at in range(8)), b"AUTH PLAIN a")
        self.assertEqual(self.masking.reply(b"250 oldestsecret secret7 a"), f"250 oldestsecret {MASKED} a")

    def test_long_lines_are_cut(self) -> None:
        """
        At a length that fits a line, and the whole length is told.
        """
        self.assertEqual(cut("x" * LONGEST), "x" * LONGEST)
        self.assertEqual(cut("x" * (LONGEST + 1)), "x" * LONGEST + f"… [{LONGEST + 1} characters]")
        self.assertTrue(self.masking.reply(b"250 " + b"x" * 9999).endswith("… [10003 characters]"))

    @settings(max_examples=150)
    @given(
        st.sampled_from(sorted(MECHANISMS)),
        st.binary(min_size=9, max_size=60),
        st.sampled_from([b" ", b"\t", b"  "]),
        st.booleans(),
    )
    def test_no_login_is_shown(self, mechanism: str, password: bytes, blank: bytes, upper: bool) -> None:
        """
        Neither as an initial response, nor as a line of its own before or after it, nor in a reply.
        """
        masking, secret = Masking(), b64encode(password)
        verb = b"AUTH" if upper else b"Auth"
        shown = [
            masking.command(secret),
            masking.command(verb + blank + mechanism.encode() + blank + secret),
            masking.command(secret),
            masking.reply(b"535 no " + secret),
        ]
        self.assertNotIn(secret.decode(), " ".join(shown))

    @settings(max_examples=200)
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=8))
    def test_anything_becomes_bounded_text(self, lines: list[tuple[bool, bytes]]) -> None:
        """
        Whatever peers say.
        """
        masking = Masking()
        for command, line in lines:
            text = (masking.command if command else masking.reply)(line)
            self.assertLessEqual(len(text), LONGEST + 40)
