"""
What a module's options may look like, and what is said of those that are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.reply import Reply
from empath.modules import options


class OptionTests(SynchronousTestCase):
    """
    Each reader.
    """

    def refused(self, read: Callable[..., Any], value: object, said: str, **bounds: Any) -> None:
        """
        Demand that a value is refused with a text that names the option.
        """
        problem = str(self.assertRaises(ValueError, read, value, key="key", **bounds))
        self.assertTrue(problem.startswith("key: "), problem)
        self.assertIn(said, problem)
        self.assertRaises(ValueError, read, value, **bounds)

    def test_quantities(self) -> None:
        """
        They are spelled as in the configuration.
        """
        self.assertEqual(options.duration("5m"), 300.0)
        self.assertEqual(options.duration(0, low=0.0), 0.0)
        self.assertEqual(options.size("64KiB"), 65536)
        self.assertEqual(options.rate("100/min"), options.Rate(100, 60.0))
        self.assertEqual(options.rate(0).count, 0)
        self.refused(options.duration, "5 weeks", "duration such as")
        self.refused(options.duration, 0, "greater than 0, at most")
        self.refused(options.duration, -1, "0 or more", low=0.0)
        self.refused(options.duration, "9999d", "3650d")
        self.refused(options.size, "1.5B", "size such as")
        self.refused(options.size, 0, "1 or more")
        self.refused(options.rate, "100/day", "rate such as")

    def test_plain_values(self) -> None:
        """
        Numbers, truth, texts and words.
        """
        self.assertEqual(options.integer(5), 5)
        self.assertEqual(options.text(""), "")
        self.assertIs(options.flag(True), True)
        self.assertEqual(options.choice("a", ("a", "b")), "a")
        self.assertEqual(options.texts("a"), ("a",))
        self.assertEqual(options.texts(["a", "b"]), ("a", "b"))
        self.refused(options.integer, True, "0 or more, not True")
        self.refused(options.integer, 9, "from 1 to 8", low=1, high=8)
        self.refused(options.flag, 1, "true or false, not 1")
        self.refused(options.text, "a\nb", "one line")
        self.refused(options.choice, "c", '"a" or "b", not \'c\'', choices=("a", "b"))
        self.refused(options.texts, ["a", ""], "list of texts")
        self.refused(options.texts, ["a\0"], "one line")
        self.refused(options.texts, {"a": "x" * 100}, "...")

    def test_replies(self) -> None:
        """
        A reply that refuses, with codes that agree.
        """
        self.assertEqual(options.reply("450 4.7.1 later"), Reply.of("450 4.7.1 later"))
        for wrong in ("250 2.0.0 fine", "550 4.7.1 no", "no", 550, "550 5.7.1 a\r\nb"):
            self.refused(options.reply, wrong, "4yz or 5yz" if isinstance(wrong, str) and "\r" not in wrong else "")

    def test_lists(self) -> None:
        """
        They give predicates; all that is wrong in one is told.
        """
        inside = options.networks(["192.0.2.0/24", "unix"])
        self.assertEqual([inside(peer) for peer in ("192.0.2.7", "192.0.3.7", "unix")], [True, False, True])
        among = options.addresses(["a@example.org", ".example.net", "<>"])
        self.assertTrue(among(None))
        self.assertTrue(among(parse_address("A@example.org")))
        self.assertFalse(among(parse_address("b@example.org")))
        self.assertEqual(list(map(options.domains(["example.org"]), ["example.org", "a.example.org"])), [True, False])
        self.assertEqual(list(map(options.names("robot-*"), ["Robot-1", "me"])), [True, False])
        self.assertFalse(options.networks([])("192.0.2.1"))
        self.refused(options.networks, ["192.0.2.0/24", "here", "192.0.2.1/24"], "; ")
        self.refused(options.addresses, ["a b"], "no domain")
        self.assertRaises(ValueError, options.domains, 5)
