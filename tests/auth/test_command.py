"""
python -m empath.auth hash.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from empath.auth.command import Terminal, run
from empath.auth.users import read_users


class CommandTests(SynchronousTestCase):
    """
    The command on a terminal and in a pipe.
    """

    def setUp(self) -> None:
        self.prompts: list[str] = []
        self.typed: list[str] = []

    def hash(self, *arguments: str, piped: bytes | None = None) -> tuple[int, str, str]:
        """
        Run it: exit code, output, complaints.
        """

        def ask(prompt: str) -> str:
            self.prompts.append(prompt)
            return self.typed.pop(0)

        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(ask, None if piped is None else io.BytesIO(piped), out, err)
        return run(["hash", *arguments], terminal, random.Random(1)), out.getvalue(), err.getvalue()

    def test_every_scheme(self) -> None:
        """
        Prints a line that the file of users takes.
        """
        for scheme in ("argon2", "bcrypt", "sha512-crypt", "scram"):
            code, out, err = self.hash("--scheme", scheme, "Tim", piped="pässword\r\nrest\n".encode())
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(read_users(out, "").verifiers["tim"].accepts("pässword"))

    def test_terminal(self) -> None:
        """
        Asks twice; without a name the verifier stands alone.
        """
        self.typed = ["x", "x"]
        code, out, _ = self.hash("--scheme", "scram")
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith("SCRAM-SHA-256$"))
        self.assertEqual(self.prompts, ["Password: ", "Again: "])

    def test_complaints(self) -> None:
        """
        Two passwords that differ, none at all, names that no line can hold: code 1, one line, no traceback.
        """
        self.typed = ["x", "y"]
        self.assertEqual(self.hash(), (1, "", "empath.auth: the passwords differ\n"))
        for name, piped in (("tim", b""), ("tim", b"\xff\n"), ("t:m", b"x\n"), ("#tim", b"x\n"), ("", b"x\n")):
            code, out, err = self.hash(name, piped=piped)
            self.assertEqual((code, out, err.count("\n")), (1, "", 1))

    def test_program(self) -> None:
        """
        It runs as the documentation says.
        """
        done = subprocess.run(
            [sys.executable, "-m", "empath.auth", "hash", "--scheme", "scram", "tim"],
            input=b"x\n",
            capture_output=True,
            check=True,
        )
        self.assertIn("tim", read_users(done.stdout.decode(), "").verifiers)
