"""
Rate limits: what is counted, by whom, and who is not.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.modules import Action, IModule, Verdict
from empath.modules.builtin.ratelimit import RateLimit
from tests.modules.support import FakeServices, recipient, session, transaction


class RateLimitTests(SynchronousTestCase):
    """
    A module that has started, and a clock.
    """

    def limit(self, **options: Any) -> Any:
        """
        Make one.
        """
        self.services = FakeServices()
        module = RateLimit(**options)
        module.start(self.services)
        self.assertTrue(verifyObject(IModule, module))
        return module

    def passed(self, verdict: Verdict | None) -> bool:
        """
        Tell whether it passed; what did not has a reason and is counted.
        """
        if verdict is not None:
            self.assertTrue(verdict.why.startswith("over the rate of "))
            self.assertTrue(self.services.counted["limited"])
        return verdict is None

    def test_messages_by_client(self) -> None:
        """
        The default: so many at once, then as many in each stretch of time; one client's are no other's.
        """
        module = self.limit(rate="2/min")
        one, other = session("192.0.2.1"), session("192.0.2.2")
        self.assertEqual([self.passed(module.mail_from(one, transaction())) for _ in range(3)], [True, True, False])
        self.assertTrue(self.passed(module.mail_from(other, transaction())))
        self.services.clock.advance(30)
        self.assertEqual([self.passed(module.mail_from(one, transaction())) for _ in range(2)], [True, False])
        verdict = module.mail_from(one, transaction())
        self.assertEqual(str(verdict.reply), "450 4.7.1 rate limit exceeded, try again later")
        self.assertEqual(verdict.why, "over the rate of messages by client: 192.0.2.1")
        self.assertEqual(self.services.counted, {"limited": 3})

    def test_why(self) -> None:
        """
        The reason names whose limit it is.
        """
        module = self.limit(rate="1/h", by="sender")
        module.mail_from(session(), transaction("Ann@example.com"))
        verdict = module.mail_from(session(), transaction("ann@example.com"))
        self.assertEqual(verdict.why, "over the rate of messages by sender: ann@example.com")

    def test_one_hook(self) -> None:
        """
        Only where it counts is it asked.
        """
        for of, hook in (("connections", "connect"), ("messages", "mail_from"), ("recipients", "rcpt_to")):
            module = self.limit(rate="1/h", of=of)
            found = [name for name in ("connect", "mail_from", "rcpt_to") if hasattr(module, name)]
            self.assertEqual(found, [hook])

    def test_burst(self) -> None:
        """
        How many at once is another matter than how many in the long run.
        """
        module = self.limit(rate="60/min", burst=1)
        self.assertEqual([self.passed(module.mail_from(session(), transaction())) for _ in range(2)], [True, False])
        self.services.clock.advance(1)
        self.assertTrue(self.passed(module.mail_from(session(), transaction())))

    def test_networks(self) -> None:
        """
        Clients of one network of the given size are one: an IPv4 address, an IPv6 /64, as usual.
        """
        for options, first, second, same in (
            ({}, "192.0.2.1", "192.0.2.2", False),
            ({"ipv4_prefix": 24}, "192.0.2.1", "192.0.2.2", True),
            ({"ipv4_prefix": 24}, "unix", "unix", True),
            ({"ipv4_prefix": 24}, "unix", "192.0.2.2", False),
            ({}, "2001:db8::1", "2001:db8::2:1", True),
            ({}, "2001:db8::1", "2001:db8:0:1::1", False),
            ({"ipv6_prefix": 128}, "2001:db8::1", "2001:db8::2", False),
            ({}, "unix", "unix", True),
        ):
            module = self.limit(rate="1/h", of="connections", **options)
            self.assertTrue(self.passed(module.connect(session(first))))
            self.assertEqual(self.passed(module.connect(session(second))), not same)

    def test_connections(self) -> None:
        """
        Too many of them are told so, and closed; a reply of one's own decides that.
        """
        module = self.limit(rate="1/s", of="connections")
        module.connect(session())
        verdict = module.connect(session())
        self.assertEqual((verdict.action, verdict.reply.code), (Action.DISCONNECT, 421))
        module = self.limit(rate="1/s", of="connections", reply="554 5.7.1 enough")
        module.connect(session())
        self.assertEqual(module.connect(session()).action, Action.REFUSE)

    def test_keys(self) -> None:
        """
        By login, sender, or domain of either; without one there is no limit.
        """
        alice, bob = session(login="Alice"), session(login="bob")
        for options, once, again, another, without in (
            (
                {"by": "login"},
                (alice, "a@b.example"),
                (session(login="alice"), "c@d.example"),
                (bob, "a@b.example"),
                session(),
            ),
            ({"by": "sender"}, (alice, "A@b.example"), (bob, "a@B.example"), (alice, "c@b.example"), None),
            ({"by": "sender_domain"}, (alice, "a@b.example"), (bob, "c@b.example"), (alice, "a@c.example"), None),
        ):
            module = self.limit(rate="1/h", **options)
            told = [self.passed(module.mail_from(who, transaction(sender))) for who, sender in (once, again, another)]
            self.assertEqual(told, [True, False, True], options)
            nobody = (without, transaction()) if without else (alice, transaction(None))
            self.assertTrue(all(self.passed(module.mail_from(*nobody)) for _ in range(3)))

    def test_recipients(self) -> None:
        """
        Each RCPT counts, by the domain it names too.
        """
        module = self.limit(rate="2/h", of="recipients", by="recipient_domain")
        begun = transaction()
        told = [
            self.passed(module.rcpt_to(session(), begun, recipient(address)))
            for address in ("a@b.example", "c@b.example", "d@b.example", "a@c.example")
        ]
        self.assertEqual(told, [True, True, False, True])

    def test_exempt(self) -> None:
        """
        Networks and logins that are exempt neither count nor are refused.
        """
        module = self.limit(rate="1/h", exempt_networks=["192.0.2.0/24", "unix"], exempt_logins=["robot-*"])
        for who in (session(), session("unix"), session("198.51.100.1", login="Robot-7")):
            self.assertTrue(all(self.passed(module.mail_from(who, transaction())) for _ in range(3)))
        stranger = session("198.51.100.1")
        self.assertEqual([self.passed(module.mail_from(stranger, transaction())) for _ in range(2)], [True, False])

    def test_memory(self) -> None:
        """
        Of too many keys the one not seen for longest is forgotten.
        """
        module = self.limit(rate="1/h", max_keys=2)
        for last in (1, 2, 3, 1):
            self.assertTrue(self.passed(module.mail_from(session(f"192.0.2.{last}"), transaction())))
        self.assertFalse(self.passed(module.mail_from(session("192.0.2.3"), transaction())))

    def test_wrong_options(self) -> None:
        """
        Each is told by its name.
        """
        for wrong, said in (
            ({"rate": "5"}, "rate: a rate such as"),
            ({"rate": 0}, "rate: 0 is no limit"),
            ({"rate": "1/h", "of": "octets"}, 'of: "messages" or'),
            ({"rate": "1/h", "by": "recipient_domain"}, 'by: "client" or'),
            ({"rate": "1/h", "of": "connections", "by": "login"}, 'by: "client"'),
            ({"rate": "1/h", "burst": 0}, "burst: "),
            ({"rate": "1/h", "reply": "250 2.0.0 fine"}, "reply: a 4yz or 5yz reply"),
            ({"rate": "1/h", "exempt_networks": ["here"]}, "exempt_networks: "),
            ({"rate": "1/h", "ipv4_prefix": 33}, "ipv4_prefix: "),
            ({"rate": "1/h", "ipv6_prefix": 0}, "ipv6_prefix: "),
            ({"rate": "1/h", "max_keys": 0}, "max_keys: "),
        ):
            problem = str(self.assertRaises(ValueError, RateLimit, **wrong))
            self.assertTrue(problem.startswith(said), problem)
