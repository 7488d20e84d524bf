"""
Requirements on reading MTA-STS records and policies (RFC 8461 §3), and on which hosts a policy allows (§4.1).
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.mta_sts import (
    INVALID,
    LONGEST_AGE,
    Mode,
    StsPolicy,
    Unusable,
    read_policy,
    record_version,
    restore_policy,
    write_policy,
)

USUAL = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n"


class RecordTests(SynchronousTestCase):
    """
    TXT records at _mta-sts.
    """

    def reads(self, version: str, *texts: str) -> None:
        """
        Expect the id, "" where no policy is announced.
        """
        self.assertEqual(record_version(texts), version)

    def test_id_of_the_one_record(self) -> None:
        """
        The example of §3.1, with and without blanks, a final semicolon and unknown fields.
        """
        self.reads("20160831085700Z", "v=STSv1; id=20160831085700Z;")
        self.reads("1", "v=STSv1;id=1")
        self.reads("1", "v=STSv1 ;\tid=1 ; ")
        self.reads("1", "v=STSv1; a.b-c_d=x!:y; id=1")

    def test_other_records_are_passed_over(self) -> None:
        """
        What does not begin with v=STSv1 does not count.
        """
        self.reads("1", "v=spf1 -all", "v=STSv1; id=1", " v=STSv1; id=2", "v=STSv10; id=3", "V=STSv1; id=4", "")

    def test_no_record_or_several_are_none(self) -> None:
        """
        There has to be exactly one.
        """
        self.reads("")
        self.reads("", "v=spf1 -all")
        self.reads("", "v=STSv1; id=1", "v=STSv1; id=1")
        self.reads("", "v=STSv1; id=1", "v=STSv1; nonsense")

    def test_a_record_that_is_not_as_the_grammar_says_is_none(self) -> None:
        """
        §3.1: senders assume that there is no policy.
        """
        for wrong in (
            "v=STSv1",
            "v=STSv1;",
            "v=STSv1; id=",
            "v=STSv1; id=a b",
            "v=STSv1; id=a-b",
            "v=STSv1; id=" + "1" * 33,
            "v=STSv1; id = 1",
            "v=STSv1;; id=1",
            "v=STSv1; id=1; nonsense",
            "v=STSv1; id=1; " + "n" * 33 + "=1",
            "v=STSv1; id=1; a=é",
            "v=STSv1; id=1\n",
            "v=STSv1; ID=1",
        ):
            self.reads("", wrong)

    def test_the_first_of_several_ids_counts(self) -> None:
        """
        Even if it is wrong.
        """
        self.reads("1", "v=STSv1; id=1; id=2")
        self.reads("", "v=STSv1; id=-; id=2")


class PolicyTests(SynchronousTestCase):
    """
    The text of a policy.
    """

    def usable(self, text: str) -> StsPolicy:
        """
        Read what has to be a policy.
        """
        policy = read_policy(text, "1")
        assert isinstance(policy, StsPolicy), policy
        return policy

    def invalid(self, text: str, reason: str) -> None:
        """
        Read what must not be one.
        """
        self.assertEqual(read_policy(text, "1"), Unusable(INVALID, reason))

    def test_whole_policy(self) -> None:
        """
        Mode, patterns, age, the record's id, and the lines as they were read, for reports.
        """
        expected = StsPolicy(
            Mode.ENFORCE, ("mail.example.com", "*.example.net"), 604800, "1", tuple(USUAL.splitlines())
        )
        self.assertEqual(self.usable(USUAL), expected)
        self.assertEqual(self.usable(USUAL.replace("\n", "\r\n")), expected)
        self.assertEqual(self.usable(USUAL.replace("\n", " \t\n\n")), expected)

    def test_blanks_and_their_absence(self) -> None:
        """
        Behind the colon there may be any blanks, before it none.
        """
        policy = self.usable("version:STSv1\nmode: \t testing\nmx:A.EXAMPLE\nmax_age:0")
        self.assertEqual((policy.mode, policy.mx, policy.max_age), (Mode.TESTING, ("a.example",), 0))
        self.invalid(USUAL.replace("mode:", "mode :"), "there is no mode")

    def test_the_first_of_a_field_counts(self) -> None:
        """
        All but mx; a pattern that comes again is one pattern.
        """
        policy = self.usable(f"{USUAL}mode: none\nmax_age: x\nversion: 2\nmx: MAIL.example.com\n")
        self.assertEqual((policy.mode, policy.mx), (Mode.ENFORCE, ("mail.example.com", "*.example.net")))

    def test_unknown_lines_are_passed_over(self) -> None:
        """
        Fields that we do not know, and what is no field.
        """
        self.assertEqual(self.usable(f"hint: ä\nnonsense\n:\n{USUAL}").max_age, 604800)

    def test_what_is_missing_or_wrong_makes_it_invalid(self) -> None:
        """
        And the reason says what it was, in ASCII and in short.
        """
        self.invalid("", "there is no version")
        self.invalid("<html>\n", "there is no version")
        self.invalid(USUAL.replace("STSv1", "STSv2"), "the version is not STSv1: 'STSv2'")
        self.invalid(USUAL.replace("enforce", "Enforce"), "no mode: 'Enforce'")
        self.invalid(USUAL.replace("enforce", "é" * 99), f"no mode: {'é' * 60!a}")
        self.invalid(USUAL.replace("max_age", "age"), "there is no max_age")
        self.invalid("version: STSv1\nmode: testing\nmax_age: 1", "there is no mx")

    def test_max_age_is_a_number_of_seconds_up_to_a_year(self) -> None:
        """
        No sign, fraction, other digit, or more than §3.2 allows.
        """
        self.assertEqual(self.usable(USUAL.replace("604800", "31557600")).max_age, LONGEST_AGE)
        for wrong in ("31557601", "00000604800", "-1", "+1", "1.5", "", "٣"):
            self.invalid(USUAL.replace("604800", wrong), f"max_age is no number up to 31557600: {wrong!a}")

    def test_mx_is_a_domain_or_all_directly_below_one(self) -> None:
        """
        One wrong pattern makes the whole policy invalid.
        """
        for wrong in ("", "*", "*.", "*.*.example", "mail.*.example", ".example", "a..b", "a.example.", "[192.0.2.1]",
                      "*.[192.0.2.1]", "bücher.example", "a b", "*example.com", "a_b.example"):  # fmt: skip
            self.invalid(f"{USUAL}mx: {wrong}", f"an mx is no host: {wrong!a}")

    def test_mode_none_needs_no_mx(self) -> None:
        """
        Nor do wrong ones matter there.
        """
        policy = self.usable("version: STSv1\nmode: none\nmax_age: 60\nmx: ?")
        self.assertEqual((policy.mode, policy.mx), (Mode.NONE, ()))


class AllowsTests(SynchronousTestCase):
    """
    Which hosts a policy allows.
    """

    def test_pattern_with_and_without_a_star(self) -> None:
        """
        A star stands for exactly one label, the first.
        """
        policy = read_policy(USUAL, "1")
        assert isinstance(policy, StsPolicy)
        allowed = ["mail.example.com", "a.example.net"]
        denied = ["example.net", "a.b.example.net", "example.com", "a.mail.example.com", "xexample.net", "", "net"]
        self.assertEqual([host for host in allowed + denied if policy.allows(host)], allowed)


class KeepingTests(SynchronousTestCase):
    """
    What is stored.
    """

    def test_what_is_written_is_read(self) -> None:
        """
        With the time of the fetch.
        """
        policy = read_policy(USUAL, "20160831085700Z")
        assert isinstance(policy, StsPolicy)
        self.assertEqual(restore_policy(write_policy(policy, 1700000000.4)), (policy, 1700000000.0))

    def test_what_was_not_written_so_is_none(self) -> None:
        """
        Another version of empath, or a hand, may have written it.
        """
        for wrong in ("", "1700000000", f"x 1\n{USUAL}", f"1 -\n{USUAL}", f"12345678901 1\n{USUAL}", "1 1\nversion: 2"):
            self.assertIsNone(restore_policy(wrong))

    @settings(max_examples=100)
    @given(st.lists(st.sampled_from([*USUAL.splitlines(), "mode: none", "x", "a: \u2028", "\r", " y:z "])))
    def test_whatever_is_read_is_kept(self, lines: list[str]) -> None:
        """
        A policy is the same after it was stored, and takes no more room than its text, but for one line.
        """
        text = "\n".join(lines)
        policy = read_policy(text, "1")
        if isinstance(policy, StsPolicy):
            written = write_policy(policy, 5.0)
            self.assertEqual(restore_policy(written), (policy, 5.0))
            self.assertLessEqual(len(written.encode()), len(text.encode()) + len("5 1\n"))
