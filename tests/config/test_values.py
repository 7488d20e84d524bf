"""
Requirements on single values in the configuration.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.config.convert import Conversion
from empath.config.schema import Config
from empath.config.values import Refused, duration, shown, size
from empath.policy.quantity import LONGEST
from tests.config.fakes import machine, problems, read

TOML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


class ScalarTests(SynchronousTestCase):
    """
    Numbers, durations, sizes, words and truth.
    """

    def test_durations_have_a_unit_or_are_seconds(self) -> None:
        """
        "30s" "5m" "24h" "5d", or seconds.
        """
        around = machine()
        for written, seconds in (
            ("30s", 30),
            ("5m", 300),
            ("24h", 86400),
            ("5d", 432000),
            ("1.5h", 5400),
            (0.25, 0.25),
        ):
            self.assertEqual(duration()(written, around), seconds)
        refused: tuple[object, ...] = ("", "5", "5 weeks", "-5s", "5M", "s", -1, 0, True, [], {}, math.nan, math.inf)
        for wrong in (*refused, "9" * 99 + "s"):
            self.assertRaises(Refused, duration(), wrong, around)
        self.assertRaises(Refused, duration(), LONGEST + 1, around)
        self.assertEqual(duration(low=0)(0, around), 0.0)

    def test_sizes_are_bytes_with_decimal_or_binary_units(self) -> None:
        """
        "64KiB" is 65,536 bytes, "25MB" is 25,000,000.
        """
        around = machine()
        for written, found in (("64KiB", 65536), ("25MB", 25_000_000), ("1.5KiB", 1536), ("7B", 7), (10, 10)):
            self.assertEqual(size()(written, around), found)
        for wrong in ("25mb", "1.5B", 1.5, "x", False, 0, -1, None):
            self.assertRaises(Refused, size(), wrong, around)

    def test_types_are_not_mixed_up(self) -> None:
        """
        A text is no number, a number is no truth, and none of them is guessed.
        """
        wrong = """
            [smtp]
            max_errors = "20"
            max_hops = 10.0
            max_recipients = true
            banner = 3
            [health]
            enabled = 1
            require = "smtp"
            [delivery]
            retry_multiplier = "2"
            dns = 5
            domains = []
            [spool]
            path = 7
        """
        self.assertEqual(
            problems(wrong),
            [
                'smtp.max_errors: found "20"; allowed: an integer of at least 1',
                "smtp.max_hops: found 10.0; allowed: an integer of at least 1",
                "smtp.max_recipients: found true; allowed: an integer of at least 1",
                "smtp.banner: found 3; allowed: a text of printable ASCII, of 1 to 400 characters",
                "health.enabled: found 1; allowed: true or false",
                'health.require: found "smtp"; allowed: an array',
                'delivery.retry_multiplier: found "2"; allowed: a number from 1 to 1000',
                "delivery.dns: found 5; allowed: a table",
                "delivery.domains: found an array; allowed: a table",
                "spool.path: found 7; allowed: a path",
            ],
        )

    def test_ranges_are_kept(self) -> None:
        """
        A port, a jitter, a multiplier and a count have their bounds.
        """
        wrong = "[delivery]\nport = 70000\nretry_jitter_factor = 1.5\nretry_multiplier = 0.5\nmax_active = 0"
        self.assertEqual(len(problems(wrong)), 4)
        self.assertEqual(problems("[delivery]\nport = 65535\nretry_jitter_factor = 1\nretry_multiplier = 1"), [])

    def test_what_is_shown_is_short_and_on_one_line(self) -> None:
        """
        An error line quotes what the operator wrote, never more than fits.
        """
        self.assertEqual(shown("a\nb"), '"a\\nb"')
        self.assertLess(len(shown("x" * 1000)), 90)
        self.assertEqual([shown({}), shown([]), shown(True), shown(1.5)], ["a table", "an array", "true", "1.5"])

    @settings(max_examples=100, deadline=None)
    @given(TOML_VALUES)
    def test_no_value_anywhere_escapes_as_another_exception(self, value: object) -> None:
        """
        Whatever stands somewhere, the reader takes it or refuses it.
        """
        for section in ("hostname", "log", "smtp", "relay", "spool", "delivery", "metrics", "health", "nonsense"):
            conversion = Conversion(machine())
            conversion.table(Config, {section: value})
            conversion.table(
                Config, {"delivery": {"domains": {"*": value}, "dns": value}, "relay": {"networks": [value]}}
            )
            for problem in conversion.problems:
                self.assertNotIn("\n", problem.line("empath.toml"))

    def test_what_no_terminal_should_get_is_escaped(self) -> None:
        """
        A value cannot end the error's line or drive the terminal that shows it.
        """
        self.assertEqual(problems('log.level = "a\u2028\u009b2J"'), [
            'log.level: found "a\\u2028\\x9b2J"; allowed: "debug" | "info" | "warn" | "error" | "critical"'
        ])  # fmt: skip

    def test_integers_that_python_cannot_handle_are_refused(self) -> None:
        """
        One of more than 64 bits is not written into the error, nor made a float.
        """
        huge = "0x" + "f" * 4000
        self.assertEqual(
            problems(f"hostname = {huge}\n[delivery]\nbase_retry_delay = {huge}\n[spool]\nmin_free = {huge}"),
            [
                'hostname: found an integer of more than 64 bits; allowed: a domain name, such as "example.org"',
                'delivery.base_retry_delay: found an integer of more than 64 bits; allowed: a duration such as "30s" '
                '"5m" "24h" "5d", or seconds, greater than 0',
                'spool.min_free: found an integer of more than 64 bits; allowed: a size such as "64KiB" "25MB" "1GiB", '
                "or bytes, 0 or more",
            ],
        )
        long = f'smtp.listeners = [{{ endpoint = "tcp:{"9" * 5000}" }}]'
        self.assertEqual(len(problems(long)), 1)


class SecretTests(SynchronousTestCase):
    """
    Secrets come from the file, another file or the environment, and never show up anywhere.
    """

    TEXT = '[delivery.domains."*"]\nmx_override = "smtp.example.org:465"\nusername = "u"\npassword = '

    def password(self, written: str, **environ: str) -> str:
        """
        Read the password as it is written.
        """
        return read(self.TEXT + written, machine(os.path.abspath("."), **environ)).delivery.domains["*"].password

    def test_a_secret_may_stand_elsewhere(self) -> None:
        """
        { file = … } gives the file's text without its final line end, { env = … } the variable's.
        """
        path = Path(os.path.abspath(self.mktemp()))
        path.write_text("from a file\r\n")
        self.assertEqual(self.password('"plain"'), "plain")
        self.assertEqual(self.password(f'{{ file = "{path}" }}'), "from a file")
        self.assertEqual(self.password('{ env = "PW" }', PW="from the environment"), "from the environment")

    def test_what_cannot_be_read_is_refused(self) -> None:
        """
        A missing file or variable is an error.
        """
        for written in (
            '{ file = "/nonexistent/x" }',
            '{ env = "NO" }',
            "{ file = 3 }",
            '{ file = "/etc/passwd\\u0000" }',
            '{ env = "\\u0000" }',
            '{ env = "A", file = "B" }',
            "7",
        ):
            self.assertEqual(len(problems(self.TEXT + written)), 1, written)

    def test_a_secret_is_never_shown(self) -> None:
        """
        Neither the configuration's repr nor an error line has it.
        """
        shown = repr(read(self.TEXT + '"hunter2"'))
        self.assertNotIn("hunter2", shown)
        self.assertNotIn("hunter2", str(problems(self.TEXT + '"hunter2\\n"')))
        self.assertNotIn("hunter2", str(problems(self.TEXT + '["hunter2"]')))
