"""
The password file's text.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.auth.hashes import Kind
from empath.auth.users import Users, read_users
from empath.errors import ConfigError
from tests.auth.made import argon2, bcrypted, scram, sha512


def users(**verifiers: str) -> Users:
    """
    Read a file of these.
    """
    return read_users("\n".join(f"{name}:{verifier}" for name, verifier in verifiers.items()), "users")


class ReadTests(SynchronousTestCase):
    """
    Lines.
    """

    def test_lines(self) -> None:
        """
        A name, a colon, a verifier; comments, blanks and line ends of any make; names without regard to case.
        """
        text = f"# ours\r\n\r\n  tim : {argon2('x')} \r\nURSEL@Example.org:{scram('y')}\n"
        found = read_users(text, "users")
        self.assertEqual(sorted(found.verifiers), ["tim", "ursel@example.org"])
        self.assertTrue(found.verifiers["tim"].accepts("x"))

    def test_every_wrong_line_is_named(self) -> None:
        """
        All at once, with their numbers, and never with a password that somebody wrote there.
        """
        text = f"tim:{argon2('x')}\nursel\nkurt:s3cret\n:{argon2('x')}\nt\x07m:{argon2('x')}\nTIM:{argon2('y')}"
        with self.assertRaises(ConfigError) as caught:
            read_users(text, "auth.users: f")
        self.assertEqual(
            [problem.partition(": line ")[2][:2] for problem in caught.exception.problems],
            ["2:", "3:", "4:", "5:", "6:"],
        )
        self.assertNotIn("s3cret", str(caught.exception))
        self.assertTrue(all(problem.startswith("auth.users: f: line ") for problem in caught.exception.problems))

    def test_usual(self) -> None:
        """
        The usual verifier costs what most cost.
        """
        found = users(a=bcrypted("a"), b=argon2("b"), c=argon2("c"), d=sha512("d"))
        assert found.usual is not None
        self.assertIs(found.usual.kind, Kind.ARGON2)
        self.assertIsNone(users().usual)


class ScramTests(SynchronousTestCase):
    """
    What SCRAM-SHA-256 is told.
    """

    def test_offered_if_all_can(self) -> None:
        """
        Every user needs a SCRAM verifier; nobody is not every user.
        """
        self.assertTrue(users(a=scram("a"), b=scram("b")).all_scram())
        self.assertFalse(users(a=scram("a"), b=argon2("b")).all_scram())
        self.assertFalse(users().all_scram())

    def test_known(self) -> None:
        """
        A user's own verifier.
        """
        found = users(a=scram("a"))
        self.assertEqual(found.scram("a"), found.verifiers["a"].scram)

    def test_unknown(self) -> None:
        """
        An unknown login has salt and iterations like everybody, always the same ones, and nobody's.
        """
        found = users(a=scram("a", 5000), b=scram("b", 5000), c=scram("c"))
        made = found.scram("nobody")
        self.assertEqual((made.iterations, len(made.salt)), (5000, 16))
        self.assertEqual(found.scram("nobody"), made)
        self.assertNotEqual(found.scram("noone").salt, made.salt)

    def test_unknown_after_a_restart_and_a_change(self) -> None:
        """
        The made-up salt is the same when the file is read again, and after most changes of it.
        """
        made = {name: scram(name) for name in "abcdefgh"}
        before = users(**made).scram("nobody")
        self.assertEqual(users(**made).scram("nobody"), before)
        same = sum(users(**{k: v for k, v in made.items() if k != gone}).scram("nobody") == before for gone in made)
        self.assertEqual(same, 6)

    def test_users_without_scram(self) -> None:
        """
        Asked all the same, the answer is one that nothing fulfils.
        """
        self.assertEqual(users(a=argon2("a")).scram("a").iterations, 4096)
        self.assertEqual(users().scram("a").iterations, 4096)
