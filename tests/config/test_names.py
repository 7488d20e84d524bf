"""
Requirements on domains, hosts, networks, endpoints and addresses in the configuration.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import problems, read


class NameTests(SynchronousTestCase):
    """
    Names come out in one spelling, and what is no name is refused.
    """

    def test_domains_are_lower_case_a_labels(self) -> None:
        """
        One domain has one spelling inside, whatever the operator wrote.
        """
        config = read('[relay]\ndomains = ["Bücher.Example", "EXAMPLE.org."]\nrecipients = "any"')
        self.assertEqual(config.relay.domains, ("xn--bcher-kva.example", "example.org"))

    def test_what_is_no_domain_is_refused(self) -> None:
        """
        Underscores, empty labels, addresses, over-long labels.
        """
        for name in (
            "a_b.example",
            "",
            "a..b",
            "-a.example",
            "192.0.2.1",
            "x" * 64 + ".example",
            "a b",
            "*.example.org",
        ):
            self.assertEqual(len(problems(f'[relay]\ndomains = ["{name}"]\nrecipients = "any"')), 1, name)
            self.assertEqual(len(problems(f'hostname = "{name}"')), 1, name)

    def test_domain_tables_may_be_patterns_but_not_repeat(self) -> None:
        """
        "example.org", "*.example.org", "*"; the same domain in two spellings is an error.
        """
        config = read('[delivery.domains."*"]\n[delivery.domains."*.Example.org"]\n[delivery.domains."example.ORG"]')
        self.assertEqual(list(config.delivery.domains), ["*", "*.example.org", "example.org"])
        self.assertEqual(
            problems('[delivery.domains."example.org"]\n[delivery.domains."Example.org"]'),
            [
                'delivery.domains."Example.org": found "Example.org"; allowed: each of its keys once, however it is '
                "written"
            ],
        )
        self.assertEqual(len(problems('[delivery.domains."a.*.b"]\n[delivery.domains.""]')), 2)

    def test_overrides_are_hosts_with_ports(self) -> None:
        """
        One host or several; IPv6 addresses in brackets.
        """
        given = '"localhost:2525"', '["Smtp.Example.org", "192.0.2.1:25", "[2001:DB8::1]:587", "[::1]"]'
        found = [
            read(f'[delivery.domains."*"]\nmx_override = {text}').delivery.domains["*"].mx_override for text in given
        ]
        self.assertEqual(found[0], ("localhost:2525",))
        self.assertEqual(found[1], ("smtp.example.org", "192.0.2.1:25", "[2001:db8::1]:587", "[::1]"))
        for wrong in ("::1", "h:0", "h:65536", "[h]:25", "h:", "a_b", "h:25:25", "", "[::1", "192.0.2.300"):
            self.assertEqual(len(problems(f'[delivery.domains."*"]\nmx_override = "{wrong}"')), 1, wrong)

    def test_name_servers_are_addresses(self) -> None:
        """
        A name would need the very server that it names.
        """
        config = read('[delivery.dns]\nservers = ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53"]')
        self.assertEqual(
            config.delivery.dns.servers, ("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53")
        )
        for wrong in ("localhost", "ns.example.org:53", "192.0.2.1:0", "[::1", ""):
            self.assertEqual(len(problems(f'[delivery.dns]\nservers = ["{wrong}"]')), 1, wrong)

    def test_trusted_networks_are_not_wide(self) -> None:
        """
        Wider than /8, or /16 for IPv6, is an open relay by another name.
        """
        config = read('[relay]\nnetworks = ["10.0.0.0/8", "2001::/16", "192.0.2.7", "unix"]')
        self.assertEqual(config.relay.networks, ("10.0.0.0/8", "2001::/16", "192.0.2.7/32", "unix"))
        for wrong in ("0.0.0.0/0", "10.0.0.0/7", "2000::/15", "::/0", "10.1.0.0/8", "example.org", "trusted"):
            self.assertEqual(len(problems(f'[relay]\nnetworks = ["{wrong}"]')), 1, wrong)
        self.assertEqual(problems('[smtp]\nbare_newlines_exclude = ["trusted", "192.0.2.0/24"]'), [])
        self.assertEqual(len(problems('[smtp]\nbare_newlines_exclude = ["0.0.0.0/0"]')), 1)

    def test_endpoints_are_twisteds(self) -> None:
        """
        Any kind that Twisted knows, with a port that exists.
        """
        for good in (
            "tcp:25",
            "tcp:0:interface=127.0.0.1",
            "tcp6:port=2525",
            "unix:/run/empath.sock",
            "systemd:domain=INET",
        ):
            self.assertEqual(problems(f'[[smtp.listeners]]\nendpoint = "{good}"'), [], good)
        for wrong in ("tcp:99999", "tcp:smtp", "tcp", "25", "bogus:1", ""):
            self.assertEqual(len(problems(f'[[smtp.listeners]]\nendpoint = "{wrong}"')), 1, wrong)

    def test_the_banner_has_one_placeholder(self) -> None:
        """
        {hostname}; no other braces, no control characters, ASCII only.
        """
        self.assertEqual(read('[smtp]\nbanner = "{hostname} hello"').smtp.banner, "{hostname} hello")
        for wrong in ("{host}", "{hostname!r}", "{", "a}", "", "caf\\u00e9", "a\\r\\n220 b", "x" * 401):
            self.assertEqual(len(problems(f'[smtp]\nbanner = "{wrong}"')), 1, wrong)

    def test_addresses(self) -> None:
        """
        The source address is an IP address, the postmaster a mailbox.
        """
        config = read('[delivery]\nsource_address = "192.0.2.1"\n[delivery.dsn]\npostmaster = "Mail@Example.org"')
        self.assertEqual(
            (config.delivery.source_address, config.delivery.dsn.postmaster), ("192.0.2.1", "Mail@example.org")
        )
        self.assertEqual(
            problems('[delivery]\nsource_address = ""\n[delivery.dsn]\npostmaster = ""\nreporting_mta = ""'), []
        )
        self.assertEqual(
            len(
                problems('[delivery]\nsource_address = "lo"\n[delivery.dsn]\npostmaster = "me"\nreporting_mta = "a_b"')
            ),
            3,
        )
        self.assertEqual(len(problems("[delivery]\nsource_address = 3\n[delivery.dsn]\npostmaster = 3")), 2)

    def test_names_of_modules(self) -> None:
        """
        A factory is a dotted name, with or without a colon, or a short name; a name is a short one, or left out.
        """
        for good in ("mypackage.policy:NoMondayMail", "mypackage.policy.NoMondayMail", "a:b", "greylist", "no-monday"):
            self.assertEqual(read(f'[[modules]]\nfactory = "{good}"').modules[0].factory, good)
        for wrong in ("", "a b", "Upper", "a:", ":b", "a.b:", "9.a", "a..b", "-x", "./a.py"):
            self.assertEqual(len(problems(f'[[modules]]\nfactory = "{wrong}"')), 1, wrong)
        for wrong in ("Upper", "a.b", "9", "x" * 64):
            self.assertEqual(len(problems(f'[[modules]]\nfactory = "a:b"\nname = "{wrong}"')), 1, wrong)
