"""
Requirements on the tables about signatures, return paths, failures and stopped senders.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import problems, read
from tests.config.test_delivery import paths

SECRET = "0123456789abcdef"


class DkimTests(SynchronousTestCase):
    """
    [delivery.dkim].
    """

    def setUp(self) -> None:
        there = os.path.abspath(self.mktemp())
        Path(there).write_text("")
        self.key = f'[[delivery.dkim.keys]]\ndomain = "Example.org"\nselector = "S2026"\nprivate_key = "{there}"\n'

    def test_a_key_has_a_domain_a_selector_and_a_file(self) -> None:
        """
        In lower case, as they stand in signatures; the file is there.
        """
        (key,) = read(self.key).delivery.dkim.keys
        self.assertEqual((key.domain, key.selector, key.algorithm), ("example.org", "s2026", ""))
        table = "delivery.dkim.keys[0]"
        self.assertEqual(
            paths('[[delivery.dkim.keys]]\nalgorithm = "ed25519-sha256"'),
            [f"{table}.domain", f"{table}.selector", f"{table}.private_key"],
        )
        for key_, wrong in (("domain", "a b"), ("selector", "a_b"), ("selector", ""), ("private_key", "/nonexistent")):
            lines = self.key.splitlines()
            text = "\n".join(f'{key_} = "{wrong}"' if line.startswith(key_) else line for line in lines)
            self.assertEqual(paths(text), [f"{table}.{key_}"])

    def test_a_selector_names_one_key(self) -> None:
        """
        In its domain; several keys of a domain have several.
        """
        self.assertEqual(paths(self.key + self.key), ["delivery.dkim.keys[1].selector"])
        self.assertEqual(paths(self.key + self.key.replace("S2026", "b.s2026")), [])
        self.assertEqual(paths(self.key + self.key.replace("Example", "www.example")), [])

    def test_from_is_signed_and_what_changes_is_not(self) -> None:
        """
        RFC 6376 §5.4; whatever the case, as names of fields have none.
        """
        dkim = "[delivery.dkim]\n"
        good = read(f'{dkim}headers = ["FROM", "Subject"]\noversign = ["from"]').delivery.dkim
        self.assertEqual((good.headers, good.oversign), (("from", "subject"), ("from",)))
        for headers in ('["Subject"]', "[]", '["From", "Return-Path"]', '["From", "DKIM-Signature"]', '["From:"]'):
            self.assertEqual(len(problems(f"{dkim}headers = {headers}\noversign = []")), 1, headers)
        self.assertEqual(paths(f'{dkim}headers = ["From"]\noversign = ["To"]'), ["delivery.dkim.oversign"])
        text = f'{dkim}headers = ["From", "Received"]\noversign = ["Received"]'
        self.assertEqual(paths(text), ["delivery.dkim.oversign"])
        self.assertEqual(paths(f'{dkim}oversign = ["From"]'), [])
        self.assertEqual(paths(f'{dkim}headers = ["From"]'), [])


class ReturnTests(SynchronousTestCase):
    """
    [delivery.srs], [delivery.verp], [delivery.feedback].
    """

    def test_srs_has_a_domain_and_a_secret(self) -> None:
        """
        Neither is of use alone, and no secret can be guessed.
        """
        srs = "[delivery.srs]\n"
        self.assertEqual(paths(f'{srs}domain = "srs.example.org"\nsecret = "{SECRET}"\nprevious = ["{SECRET}0"]'), [])
        self.assertEqual(paths(f'{srs}domain = "srs.example.org"'), ["delivery.srs.secret"])
        self.assertEqual(paths(f'{srs}secret = "{SECRET}"'), ["delivery.srs.domain"])
        self.assertEqual(paths(f'{srs}previous = ["{SECRET}"]'), ["delivery.srs.domain"])
        text = f'{srs}domain = "srs.example.org"\nsecret = "short"\nprevious = ["{SECRET}", "short"]'
        self.assertEqual(paths(text), ["delivery.srs.secret", "delivery.srs.previous[1]"])
        self.assertEqual(len(problems(f'{srs}domain = "srs.example.org"\nsecret = {{ env = "NO" }}')), 1)

    def test_verp_has_a_secret_and_senders(self) -> None:
        """
        Once it is enabled; the senders are those of relay.domains if nothing else is said.
        """
        verp = f'[delivery.verp]\nenabled = true\nsecret = "{SECRET}"\n'
        self.assertEqual(paths(f'{verp}domains = ["example.org"]'), [])
        self.assertEqual(paths(f'{verp}[relay]\ndomains = ["example.org"]'), [])
        self.assertEqual(paths(verp), ["delivery.verp.domains"])
        self.assertEqual(paths(verp.replace("true", "false")), [])
        self.assertEqual(paths("[delivery.verp]\nenabled = true"), ["delivery.verp.secret", "delivery.verp.domains"])
        self.assertEqual(paths('delivery.verp.secret = "short"'), ["delivery.verp.secret"])
        for delimiter, wrong in (("+", 0), ("-", 0), ("=", 0), ("@", 1), ("", 1), ("++", 1), (".", 1)):
            self.assertEqual(len(problems(f'delivery.verp.delimiter = "{delimiter}"')), wrong, delimiter)

    def test_complaints_come_to_addresses(self) -> None:
        """
        Whole ones.
        """
        self.assertEqual(
            read('delivery.feedback.addresses = ["fbl@Example.org"]').delivery.feedback.addresses, ("fbl@example.org",)
        )
        for wrong in ('[""]', '["fbl"]', '"fbl@example.org"', "[1]"):
            self.assertEqual(len(problems(f"delivery.feedback.addresses = {wrong}")), 1, wrong)

    def test_secrets_are_never_shown(self) -> None:
        """
        Neither by the configuration's repr nor by an error line.
        """
        text = f'[delivery.srs]\ndomain = "s.example"\nsecret = "{SECRET}"\nprevious = ["{SECRET}x"]\n'
        text += f'[delivery.verp]\nsecret = "{SECRET}"'
        self.assertNotIn(SECRET, repr(read(text)))
        self.assertNotIn("hunter2", str(problems('[delivery.srs]\nsecret = "hunter2"\nprevious = ["hunter2\\n"]')))


class SafetyTests(SynchronousTestCase):
    """
    [delivery.bounces], [delivery.suppression], [delivery.sender_breaker], and what can be switched off by a zero.
    """

    def test_a_pattern_looks_for_something(self) -> None:
        """
        And belongs to a category that there is.
        """
        pattern = "[[delivery.bounces.patterns]]\n"
        self.assertEqual(paths(f'{pattern}match = "asleep"\ncategory = "inactive-mailbox"'), [])
        self.assertEqual(paths(f'{pattern}category = "quota"'), ["delivery.bounces.patterns[0].match"])
        for wrong in ('match = "("', 'match = ".*"', 'match = "a"\ncategory = "asleep"'):
            self.assertEqual(len(problems(pattern + wrong)), 1, wrong)

    def test_categories_of_suppression_are_known(self) -> None:
        """
        There may be none: complaints and operators remain.
        """
        self.assertEqual(paths("delivery.suppression.categories = []"), [])
        wrong = 'delivery.suppression.categories = ["quota", "full"]'
        self.assertEqual(paths(wrong), ["delivery.suppression.categories[1]"])

    def test_ranges_of_the_breaker(self) -> None:
        """
        A part that fails is more than none and at most all.
        """
        table = "delivery.sender_breaker"
        for key, value in (("max_failure_ratio", "0"), ("max_failure_ratio", "1.1"), ("min_recipients", "0")):
            self.assertEqual(paths(f"{table}.{key} = {value}"), [f"{table}.{key}"])
        self.assertEqual(
            paths(f"{table}.window = 0\n{table}.max_recipients = -1"), [f"{table}.window", f"{table}.max_recipients"]
        )
        self.assertEqual(paths(f'{table}.max_failure_ratio = 1\n{table}.exempt = ["ann", "a@example.org"]'), [])

    def test_what_zero_switches_off(self) -> None:
        """
        Reports of delay, idempotency keys, the end of a signature and of a suppression.
        """
        for key in ("dsn.delay_after", "idempotency_window", "dkim.expiration", "suppression.duration"):
            self.assertEqual(paths(f"delivery.{key} = 0"), [])
            self.assertEqual(paths(f"delivery.{key} = -1"), [f"delivery.{key}"])
