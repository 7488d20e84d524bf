"""
What people may see of a dialogue.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.echoes import MASKED
from empath.smtp.masking import LONGEST, MECHANISMS, Masking, cut, printable

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
            "NONSENSE!",
            "DATA",
            "",
            ".",
        ]
        self.assertEqual(self.commands(b"NOOP \xff"), ["NOOP \\xff"])
        self.assertEqual(self.commands(*(line.encode() for line in lines)), lines)

    def test_of_a_command_that_nobody_knows_the_first_word_is_shown(self) -> None:
        """
        Other protocols are spoken to us by mistake, and have their secrets behind it.
        """
        said = [b"GET /reset?token=abc HTTP/1.1", b"Cookie:id=abc", b"token=abc", b"PASS hunter", b"  USER\tbob", b"="]
        told = ["GET", "Cookie:", "token=", "PASS", "USER"]
        self.assertEqual(self.commands(*said), [*(f"{word} {MASKED}" for word in told), MASKED])

    def test_content_behind_a_refused_data_is_not_shown(self) -> None:
        """
        Nor are sentences that begin like a command; commands are.
        """
        self.assertEqual(self.commands(b"DATA"), ["DATA"])
        content = [b"Idempotency-Key: 123", b"Dear", b"Help me, Bob", b"Mail me", b"rcpt Bob", b"Send it!"]
        told = [MASKED, MASKED, f"Help {MASKED}", f"Mail {MASKED}", f"rcpt {MASKED}", f"Send {MASKED}"]
        self.assertEqual(self.commands(*content), told)
        commands = ["MAIL FROM:<a@b.example>", "rcpt to: <c@d.example>", ".", "EHLO x", "BDAT 5 LAST", "QUIT"]
        self.assertEqual(self.commands(*(each.encode() for each in commands)), commands)

    def test_a_dialogue_that_is_joined_in_its_middle(self) -> None:
        """
        What is no command may be a password.
        """
        masking = Masking(joined=True)
        self.assertEqual([masking.command(line) for line in (b"hunter", b"QUIT")], [MASKED, "QUIT"])

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
        self.assertEqual(self.commands(b"xyz", SECRET, b"xyz"), ["xyz", MASKED, "xyz"])
        self.assertEqual(self.commands(b"AUHT PLAIN x!", b"xyz"), [MASKED, MASKED], "it may be what follows AUTH")

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

    def test_a_secret_that_the_peer_repeats_in_another_way(self) -> None:
        """
        Decoded, encoded as another login, in capitals, cut short, folded, in hexadecimal, within a URL or JSON.
        """
        password = 'tan&st"aaf%'
        said = b64encode(b"\0tim\0" + password.encode())
        self.commands(b"AUTH PLAIN " + said)
        echoes = [
            password,
            password.upper(),
            quote(password),
            password.encode().hex().upper(),
            'tan&st\\"aaf%',
            "tan&amp;st&quot;aaf%",
            b64encode(b"tim:" + password.encode()).decode(),
            b64encode(b"1" + password.encode()).decode(),
            said.decode().lower(),
            said.decode()[:10],
            said.decode()[4:14],
        ]
        for echo in echoes:
            with self.subTest(echo):
                told = self.masking.reply(f"535-5.7.8 <{echo}>".encode())
                self.assertTrue(told.startswith(f"535-5.7.8 <{MASKED}"), told)
                self.assertNotIn(echo[-6:], told)
        self.assertEqual(self.masking.reply(b"535 5.7.8 tim may not"), "535 5.7.8 tim may not")

    def test_the_secrets_of_each_mechanism(self) -> None:
        """
        The password of LOGIN and not its name, a bearer token, the digest of CRAM-MD5, the proof of SCRAM.
        """
        runs = [
            (b"AUTH LOGIN", [b"tim@example.org", b"tanstaaf"], "tanstaaf"),
            (b"AUTH OAUTHBEARER", [b"n,a=tim@example.org,\1host=x\1auth=Bearer ya29.token\1\1"], "ya29.token"),
            (b"AUTH XOAUTH2", [b"user=tim@example.org\1auth=bearer ya29.token\1\1"], "ya29.token"),
            (b"AUTH CRAM-MD5", [b"tim@example.org 0123456789abcdef"], "0123456789abcdef"),
            (b"AUTH SCRAM-SHA-256", [b"n,,n=tim@example.org,r=abcd", b"c=biws,r=abcd,p=cHJvb2Y="], "cHJvb2Y="),
        ]
        for command, responses, secret in runs:
            with self.subTest(command):
                masking = Masking()
                told = [masking.command(command), *(masking.response(b64encode(each)) for each in responses)]
                self.assertEqual(told, [command.decode(), *([MASKED] * len(responses))])
                self.assertEqual(masking.reply(f"535 no {secret}.".encode()), f"535 no {MASKED}.")
                self.assertEqual(masking.reply(b"535 no tim@example.org"), "535 no tim@example.org")

    def test_a_password_that_was_said_before(self) -> None:
        """
        Is not shown either; one that is so short that it would be found everywhere is.
        """
        self.masking.password("tanstaaf")
        self.masking.password("5.7")
        self.masking.password("abcd")
        self.assertEqual(self.masking.reply(b"535 5.7.8 tanstaaf"), f"535 5.7.8 {MASKED}")
        self.assertEqual(self.masking.words("535 AHRpbQB0YW5zdGFhZg=="), f"535 {MASKED}")

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

    def test_what_moves_a_cursor(self) -> None:
        """
        Becomes a question mark: control characters, and those that turn the direction of a text.
        """
        self.assertEqual(printable("550 \x1b[1mn\x00\x9b\u202eé\n"), "550 ?[1mn???é?")
        self.assertEqual(printable("550 no such user"), "550 no such user")

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
