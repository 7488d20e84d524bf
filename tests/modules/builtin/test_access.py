"""
Access: what each rule does, which one counts, and what is said of wrong ones.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.modules import Action, IModule, MaybeVerdict
from empath.modules.builtin.access import Access
from tests.modules.support import FakeServices, recipient, session, transaction


def told(verdict: object) -> str:
    """
    Give what a peer hears, "" for nothing in particular.
    """
    reply = getattr(verdict, "reply", None)
    return str(reply) if reply else ""


class AccessTests(SynchronousTestCase):
    """
    Rules of the configuration.
    """

    def setUp(self) -> None:
        """
        Services that count.
        """
        self.services = FakeServices()

    def access(self, *rules: str) -> Access:
        """
        Make a module that has started.
        """
        module = Access(rules=list(rules))
        module.start(self.services)
        return module

    def action(self, verdict: MaybeVerdict) -> Action | None:
        """
        Tell what a verdict does, which has a reason.
        """
        if verdict is None:
            return None
        self.assertTrue(verdict.why)
        return verdict.action

    def test_only_what_is_to_be_held(self) -> None:
        """
        A rule that has come meanwhile and denies the client holds nothing of its mail.
        """
        module = self.access("deny client 192.0.2.1", "hold client *")
        for peer, held in (("192.0.2.1", ""), ("192.0.2.2", "hold client 192.0.2.2")):
            mail = transaction()
            self.assertIsNone(module.mail_from(session(peer), mail))
            self.assertEqual(mail.held, held)

    def test_is_a_module(self) -> None:
        """
        It says its name.
        """
        self.assertTrue(verifyObject(IModule, self.access("deny sender <>")))

    def test_stages(self) -> None:
        """
        Each step looks at the rules about what it brings.
        """
        module = self.access(
            "deny client 192.0.2.0/24",
            "deny ehlo *.dynamic.example",
            "deny login mallory",
            "deny sender @example.com",
            "deny recipient secret@example.org",
        )
        denied = "554 5.7.1 access denied"
        self.assertEqual(told(module.connect(session("192.0.2.9"))), denied)
        self.assertIsNone(module.connect(session("192.0.3.9")))
        self.assertEqual(told(module.ehlo(session(), "a.DYNAMIC.example")), denied)
        self.assertEqual(told(module.ehlo(session(), "a.dynamic.example.")), denied)
        self.assertIsNone(module.ehlo(session(), "mail.example"))
        self.assertEqual(told(module.auth(session(), "Mallory")), denied)
        self.assertIsNone(module.auth(session(), "alice"))
        self.assertEqual(told(module.mail_from(session(), transaction("a@example.com"))), denied)
        self.assertIsNone(module.mail_from(session(), transaction("a@example.net")))
        self.assertIsNone(module.mail_from(session(), transaction(None)))
        self.assertEqual(told(module.rcpt_to(session(), transaction(), recipient("SECRET@example.org"))), denied)
        self.assertIsNone(module.rcpt_to(session(), transaction(), recipient()))
        self.assertEqual(self.services.counted, {"deny": 6})

    def test_actions(self) -> None:
        """
        Refused for good or for now, closed, dropped, held: with the rule's reply or a usual one.
        """
        module = self.access(
            'deny sender a@example.com "550 5.7.1 go away"',
            "tempfail sender b@example.com",
            'tempfail sender c@example.com "451 4.7.1 tomorrow"',
            "disconnect sender d@example.com",
            'discard sender e@example.com "spam trap"',
            'hold sender f@example.com "to be looked at"',
            "tempfail client 192.0.2.0/24",
        )
        for name, action, reply in (
            ("a", Action.REFUSE, "550 5.7.1 go away"),
            ("b", Action.REFUSE, "450 4.7.1 access denied for now, try again later"),
            ("c", Action.REFUSE, "451 4.7.1 tomorrow"),
            ("d", Action.DISCONNECT, "421 4.7.0 closing connection"),
            ("e", Action.DISCARD, ""),
            ("f", None, ""),
        ):
            begun = transaction(f"{name}@example.com")
            verdict = module.mail_from(session(), begun)
            self.assertEqual((self.action(verdict), told(verdict)), (action, reply))
            self.assertEqual(begun.held, "hold sender f@example.com: to be looked at" if name == "f" else "")
        self.assertEqual(told(module.connect(session()))[:10], "421 4.7.1 ")
        self.assertEqual(self.services.counted, {"deny": 1, "tempfail": 3, "disconnect": 1, "discard": 1, "hold": 1})

    def test_first_match(self) -> None:
        """
        The first rule of a step counts, and an allowed one says so.
        """
        module = self.access("allow sender a@example.com", "deny sender @example.com", "deny sender a@example.com")
        verdict = module.mail_from(session(), transaction("a@example.com"))
        self.assertIs(self.action(verdict), Action.ACCEPT)
        self.assertEqual(verdict and verdict.why, "allow sender a@example.com")
        self.assertIs(self.action(module.mail_from(session(), transaction("b@example.com"))), Action.REFUSE)

    def test_allowed_sessions(self) -> None:
        """
        Who is allowed by address, name or login is asked no more about that session.
        """
        module = self.access(
            "allow client 192.0.2.0/24",
            "allow ehlo friend.example",
            "allow login alice",
            "deny client *",
            "deny ehlo *",
            "deny login *",
            "deny sender *",
            "deny recipient *",
        )
        friends = session("192.0.2.1"), session("unix", name="friend.example"), session("unix", login="alice")
        for friend in friends:
            self.assertIsNone(module.mail_from(friend, transaction()))
            self.assertIsNone(module.rcpt_to(friend, transaction(), recipient()))
        self.assertIs(self.action(module.connect(friends[0])), Action.ACCEPT)
        self.assertIsNone(module.ehlo(friends[0], "foe.example"))
        self.assertIsNone(module.auth(friends[0], "mallory"))
        self.assertIsNone(module.auth(friends[1], "mallory"))
        self.assertIs(self.action(module.ehlo(session("unix"), "friend.example")), Action.ACCEPT)
        self.assertIs(self.action(module.auth(session("unix"), "alice")), Action.ACCEPT)
        foe = session("198.51.100.1", name="foe.example")
        self.assertIs(self.action(module.connect(foe)), Action.REFUSE)
        self.assertIs(self.action(module.rcpt_to(foe, transaction(), recipient())), Action.REFUSE)

    def test_another_name(self) -> None:
        """
        What a name allowed ends when the client calls itself otherwise.
        """
        module = self.access("allow ehlo friend.example", "deny ehlo *")
        self.assertIs(self.action(module.ehlo(session(name="friend.example"), "foe.example")), Action.REFUSE)

    def test_allowed_transactions(self) -> None:
        """
        An allowed sender reaches all recipients, in its transaction; an allowed recipient stands for itself.
        """
        module = self.access("allow sender @example.com", "allow recipient postmaster@", "deny recipient *")
        self.assertIsNone(module.rcpt_to(session(), transaction("a@example.com"), recipient()))
        stranger = transaction("a@example.net")
        self.assertIs(
            self.action(module.rcpt_to(session(), stranger, recipient("postmaster@b.example"))), Action.ACCEPT
        )
        self.assertIs(self.action(module.rcpt_to(session(), stranger, recipient())), Action.REFUSE)

    def test_held_sessions(self) -> None:
        """
        Mail of a session to hold mail of is held, once, with the first reason, unless an earlier step allowed it.
        """
        module = self.access("allow client 198.51.100.1", "hold client *", "hold ehlo odd", "hold recipient *")
        odd = session(name="odd")
        self.assertIsNone(module.connect(odd))
        self.assertEqual(self.services.counted, {})
        begun = transaction()
        self.assertIsNone(module.mail_from(odd, begun))
        self.assertIsNone(module.rcpt_to(odd, begun, recipient()))
        self.assertEqual(begun.held, "hold client 192.0.2.1")
        self.assertEqual(self.services.counted, {"hold": 1})
        friend = transaction()
        self.assertIsNone(module.mail_from(session("198.51.100.1", name="odd"), friend))
        self.assertEqual(friend.held, "")

    def test_wrong_rules(self) -> None:
        """
        Each is told with its number and what is wrong.
        """
        for rule, said in (
            ("deny", "action subject pattern"),
            ("forbid sender a@example.org", "unknown action 'forbid': allow, deny"),
            ("deny envelope a@example.org", "unknown subject 'envelope': client, ehlo"),
            ("deny client example.org", "does not appear to be an IPv4 or IPv6 network"),
            ("deny client 192.0.2.1/24", "host bits"),
            ("deny sender *@example.org", '"@example.org" is all of a domain'),
            ("deny sender a@example.org # why", ""),
            ("deny ehlo a b", "no blanks"),
            ("deny ehlo b\u00fccher.example", "in ASCII"),
            ("deny ehlo *.", "without their final dot"),
            ('deny sender a@example.org "go away"', "no reply: 'go away'"),
            ('deny sender a@example.org "450 4.7.1 later"', "deny needs a 5yz reply"),
            ('tempfail sender a@example.org "550 5.7.1 no"', "tempfail needs a 4yz reply"),
            ('disconnect sender a@example.org "250 2.0.0 yes"', "disconnect needs a 4yz or 5yz reply"),
            ('deny sender a@example.org "550 4.7.1 no"', "does not agree"),
        ):
            problem = str(self.assertRaises(ValueError, Access, rules=["deny sender <>", rule]))
            self.assertTrue(problem.startswith("rules: line 2: "), problem)
            self.assertIn(said, problem)
        for wrong in ({}, {"rules": 5}, {"rules": ["deny sender <>"], "interval": "never"}, {"file": 5}):
            self.assertRaises(ValueError, Access, **wrong)


class AccessFileTests(SynchronousTestCase):
    """
    Rules of a file.
    """

    def setUp(self) -> None:
        """
        A folder with a file.
        """
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.services = FakeServices(folder)
        self.path = os.path.join(folder, "rules")
        self.write("# ours\nallow sender a@example.com\n\ndeny sender @example.com\n")

    def write(self, text: str) -> None:
        """
        Put another file in its place.
        """
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)

    def test_reloaded(self) -> None:
        """
        The file's rules come behind those of the configuration, and change with the file.
        """
        module = Access(rules="deny sender b@example.net", file="rules", interval="5s")
        module.start(self.services)
        self.assertEqual(len(module.rules), 3)

        def denied(name: str) -> bool:
            verdict = module.mail_from(session(), transaction(name))
            return verdict is not None and verdict.action is Action.REFUSE

        names = "a@example.com", "b@example.com", "b@example.net", "c@example.net"
        self.assertEqual(list(map(denied, names)), [False, True, True, False])
        self.write("deny sender a@example.com\nallow sender b@example.net\n")
        self.services.clock.advance(5)
        self.assertEqual(list(map(denied, names)), [True, False, True, False])
        self.write("deny sender\n")
        self.services.clock.advance(5)
        self.assertEqual(list(map(denied, names)), [True, False, True, False])

    def test_wrong_file(self) -> None:
        """
        At start it is fatal, and every wrong line is told.
        """
        self.write("deny sender @\nallow sender a@example.org\nfoo bar baz\n")
        problem = str(self.assertRaises(ValueError, Access(file="rules").start, self.services))
        self.assertIn("rules: line 1: ", problem)
        self.assertIn("; line 3: unknown action", problem)
