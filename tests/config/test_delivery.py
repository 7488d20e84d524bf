"""
Requirements on the keys of delivery's limits, shaping and transport security, alone and together.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.config.changes import changes
from empath.config.units import Rate
from tests.config.fakes import problems, read


def paths(text: str) -> list[str]:
    """
    Tell the paths of what is wrong with a file.
    """
    return [line.partition(": found")[0] for line in problems(text)]


class LimitTests(SynchronousTestCase):
    """
    [delivery.rate_limits], [delivery.circuit_breaker] and their like in a domain's table.
    """

    def test_a_key_may_have_a_name_that_python_keeps_to_itself(self) -> None:
        """
        `global` is the attribute `global_`; what is told of it calls it `global`, and `global_` is no key.
        """
        config = read('[delivery.rate_limits]\nglobal = "10/s"')
        self.assertEqual(config.delivery.rate_limits.global_, Rate(10, 1.0))
        self.assertEqual(list(changes(read(""), config)), ["delivery.rate_limits.global"])
        lines = problems('[delivery.rate_limits]\nglobal_ = "10/s"\nglobal = "fast"')
        self.assertEqual(lines[0], "delivery.rate_limits.global_: unknown key; did you mean global?")
        self.assertTrue(lines[1].startswith('delivery.rate_limits.global: found "fast"; allowed: a rate'), lines)

    def test_a_domain_has_limits_of_its_own_or_those_of_all(self) -> None:
        """
        What is not written is None: as [delivery] says; a rate of 0 is no limit.
        """
        text = '[delivery.domains."a.example"]\nmax_connections = 3\nrate_limit = "200/min"\nmax_messages = 5\n'
        text += '[delivery.domains."b.example"]\nrate_limit = 0\naccept_invalid_certs = false\n'
        domains = read(text).delivery.domains
        one, other = domains["a.example"], domains["b.example"]
        self.assertEqual((one.max_connections, one.rate_limit, one.max_messages), (3, Rate(200, 60.0), 5))
        self.assertIs(one.accept_invalid_certs, None)
        self.assertEqual((other.max_connections, other.rate_limit), (None, Rate(0, 1.0)))
        self.assertIs(other.accept_invalid_certs, False)

    def test_counts_are_at_least_one(self) -> None:
        """
        A breaker of no failures, a burst of none, connections without messages: each is refused.
        """
        for key in (
            "delivery.circuit_breaker.failure_threshold",
            "delivery.circuit_breaker.half_open_max_calls",
            "delivery.circuit_breaker.timeout",
            "delivery.rate_limits.burst",
            "delivery.connection_pool.max_age",
        ):
            self.assertEqual(paths(f"{key} = 0"), [key])
        for key in ("max_connections", "max_messages"):
            self.assertEqual(len(problems(f'[delivery.domains."*"]\n{key} = 0')), 1)


class PatternTests(SynchronousTestCase):
    """
    [[delivery.shaping.patterns]].
    """

    def pattern(self, text: str) -> list[str]:
        """
        Tell what is wrong with a pattern.
        """
        return problems(f"[[delivery.shaping.patterns]]\n{text}")

    def test_a_pattern_is_a_regular_expression(self) -> None:
        """
        One that does not compile, that Python warns of, or that matches everything is told with the reason.
        """
        self.assertEqual(self.pattern('match = "too (much|many)"\naction = "pause"\npause = "1h"'), [])
        self.assertIn("missing ), unterminated subpattern", self.pattern('match = "too (much"')[0])
        self.assertIn("nested set", self.pattern('match = "[[a]"')[0])
        for wrong in ('""', '".*"', '"a|"', "1", '"a\\nb"', f'"{"a" * 1001}"'):
            self.assertEqual(len(self.pattern(f"match = {wrong}")), 1, wrong)

    def test_a_pattern_has_something_to_look_for(self) -> None:
        """
        A table without `match` is a fault; so is an action that is none.
        """
        self.assertEqual(
            self.pattern('action = "slow"'),
            ['delivery.shaping.patterns[0].match: found nothing; allowed: a regular expression, such as "slow down"'],
        )
        self.assertEqual(len(self.pattern('match = "x"\naction = "faster"')), 1)


class DnsTests(SynchronousTestCase):
    """
    [delivery.dns] and what rests on DNSSEC.
    """

    def test_trust_ad_needs_a_server_on_this_machine(self) -> None:
        """
        Or the operator's word that the way to it is safe.
        """
        text = '[delivery.dns]\ndnssec = "trust-ad"\nservers = ["127.0.0.1", "[::1]:53", "::1", "192.0.2.1:53"]\n'
        (line,) = problems(text)
        self.assertTrue(line.startswith('delivery.dns.dnssec: found "trust-ad"; allowed: it only'), line)
        self.assertTrue(line.endswith("not with 192.0.2.1:53"), line)
        self.assertEqual(problems(f"{text}trust_remote_ad = true"), [])
        self.assertEqual(problems(text.replace(', "192.0.2.1:53"', "")), [])

    def test_dane_needs_dnssec(self) -> None:
        """
        As the default policy, and as that of a domain.
        """
        self.assertEqual(paths('delivery.tls.default_policy = "dane"'), ["delivery.tls.default_policy"])
        domain = '[delivery.domains."example.org"]\ntls_policy = "dane"\n'
        self.assertEqual(paths(domain), ['delivery.domains."example.org".tls_policy'])
        for dnssec in ("validate", "trust-ad"):
            self.assertEqual(problems(f'{domain}[delivery.dns]\ndnssec = "{dnssec}"'), [])

    def test_what_has_no_effect_is_told(self) -> None:
        """
        Enforcing without DNSSEC, an anchor that nothing is validated by, trust in a bit that is not asked for.
        """
        anchor = os.path.abspath(self.mktemp())
        Path(anchor).write_text("")
        self.assertEqual(paths("[delivery.dns]\ndnssec_enforce = true"), ["delivery.dns.dnssec_enforce"])
        for off in ("off", "trust-ad"):
            text = f'[delivery.dns]\ndnssec = "{off}"\ntrust_anchor = "{anchor}"'
            self.assertEqual(paths(text), ["delivery.dns.trust_anchor"])
        text = f'[delivery.dns]\ndnssec = "validate"\ndnssec_enforce = true\ntrust_anchor = "{anchor}"'
        self.assertEqual(problems(text), [])
        self.assertEqual(paths(f"{text}\ntrust_remote_ad = true"), ["delivery.dns.trust_remote_ad"])

    def test_stale_answers_can_be_switched_off(self) -> None:
        """
        `serve_stale` 0 is never.
        """
        self.assertEqual(read("delivery.dns.serve_stale = 0").delivery.dns.serve_stale, 0.0)


class TlsTests(SynchronousTestCase):
    """
    [delivery.tls] and its like in a domain's table.
    """

    def test_a_certificate_has_its_key(self) -> None:
        """
        Neither is of use alone.
        """
        path = os.path.abspath(self.mktemp())
        Path(path).write_text("")
        for section in ("[delivery.tls]", '[delivery.domains."*"]'):
            self.assertEqual(len(problems(f'{section}\ncertificate = "{path}"')), 1)
            self.assertEqual(len(problems(f'{section}\nprivate_key = "{path}"')), 1)
            self.assertEqual(problems(f'{section}\ncertificate = "{path}"\nprivate_key = "{path}"'), [])

    def test_dane_stands_with_required_tls(self) -> None:
        """
        The host's TLSA records count where it has any; `require_tls` speaks of the others.
        """
        text = '[delivery.dns]\ndnssec = "validate"\n[delivery.domains."*"]\nrequire_tls = true\n'
        self.assertEqual(read(f'{text}tls_policy = "dane"').delivery.domains["*"].tls_policy, "dane")
        default = read(f'delivery.tls.default_policy = "dane"\n{text}').delivery.domains["*"]
        self.assertEqual((default.tls_policy, default.require_tls), (None, True))

    def test_reports_come_from_an_address(self) -> None:
        """
        The sender of TLS reports is a mailbox; their other keys are texts.
        """
        self.assertEqual(paths('delivery.tls_rpt.sender = "nobody"'), ["delivery.tls_rpt.sender"])
        text = '[delivery.tls_rpt]\norganization = "Example Inc."\ncontact = "mailto:a@example.org"\n'
        self.assertEqual(problems(f'{text}sender = "tls@example.org"'), [])


class SourceTests(SynchronousTestCase):
    """
    delivery.source_address.
    """

    def test_it_can_be_used(self) -> None:
        """
        It is of a family that is on.
        """
        for address, family in (("192.0.2.1", "ipv4"), ("2001:db8::1", "ipv6")):
            text = f'[delivery]\nsource_address = "{address}"\naddress_families = '
            self.assertEqual(paths(f'{text}["{family}"]'), [])
            other = "ipv6" if family == "ipv4" else "ipv4"
            self.assertEqual(paths(f'{text}["{other}"]'), ["delivery.source_address"])


class PoolTests(SynchronousTestCase):
    """
    [[delivery.pools]].
    """

    def pools(self, *tables: str, more: str = "") -> list[str]:
        """
        Tell the paths of what is wrong with pools.
        """
        return paths(more + "\n" + "\n".join(f"[[delivery.pools]]\n{table}" for table in tables))

    def test_pools_are_known_by_name(self) -> None:
        """
        Each has one, and no two the same; a domain names one that is there.
        """
        self.assertEqual(self.pools('name = "a"', 'name = "b"\nweight = 0'), [])
        self.assertEqual(
            self.pools('name = "a"', 'name = "a"', "weight = 2"), [f"delivery.pools[{n}].name" for n in (1, 2)]
        )
        self.assertEqual(self.pools('name = "A pool"'), ["delivery.pools[0].name"])
        named = '\n[delivery.domains."*"]\npool = "b"\n'
        self.assertEqual(self.pools('name = "b"' + named), [])
        self.assertEqual(self.pools('name = "a"' + named), ['delivery.domains."*".pool'])
        (line,) = problems(named)
        self.assertIn("none, as there are no delivery.pools", line)
        maildir = 'strategy = "maildir"\npath = "m"\n'
        self.assertEqual(self.pools(f'name = "b"{named}{maildir}'), ['delivery.domains."*".pool'])

    def test_their_addresses_can_be_used(self) -> None:
        """
        They are addresses, each once, of families that are on; one may stand without brackets.
        """
        pool = read('[[delivery.pools]]\nname = "a"\naddresses = "2001:DB8::1"').delivery.pools[0]
        self.assertEqual(pool.addresses, ("2001:db8::1",))
        for wrong in ('"host"', '["192.0.2.1", "192.0.2.1"]', "1", '[""]'):
            self.assertEqual(len(self.pools(f'name = "a"\naddresses = {wrong}')), 1, wrong)
        self.assertEqual(
            self.pools('name = "a"\naddresses = ["192.0.2.1", "::1"]', more='[delivery]\naddress_families = ["ipv4"]'),
            ["delivery.pools[0].addresses"],
        )

    def test_one_place_says_where_mail_leaves_from(self) -> None:
        """
        `source_address` is for those who have no pools, or only such as domains name.
        """
        source = '[delivery]\nsource_address = "192.0.2.1"'
        self.assertEqual(self.pools('name = "a"', more=source), ["delivery.source_address"])
        self.assertEqual(self.pools('name = "a"\nweight = 0', more=source), [])
