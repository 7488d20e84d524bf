"""
Mail for an address goes to others.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.mail.envelope import Recipient
from empath.modules import Address, IModule, MaybeVerdict, Transaction, accept, parse_address
from empath.modules.builtin.alias import Alias, read_aliases
from tests.modules.support import FakeServices, recipient, session, transaction

DOMAINS = frozenset({"example.org", "example.net"})


class AliasCase(SynchronousTestCase):
    """
    The module with some aliases.
    """

    def use(self, aliases: dict[str, object], **more: object) -> None:
        """
        Start a module with these.
        """
        self.module = Alias(aliases, **more)
        self.module.start(FakeServices(domains=DOMAINS))

    def say(self, *addresses: str, through: Transaction | None = None) -> list[str]:
        """
        Say RCPT for each, and tell whom the message is for.
        """
        return [each.address.text for each in self.said(*addresses, through=through).recipients]

    def said(self, *addresses: str, through: Transaction | None = None) -> Transaction:
        """
        Say RCPT for each, and give the transaction.
        """
        made = through or transaction()
        for address in addresses:
            named = (
                Recipient(Address("Postmaster", "", "Postmaster")) if address == "Postmaster" else recipient(address)
            )
            if self.refusal(named, made) == "":
                made.accept(named)
        return made

    def refusal(self, named: Recipient, through: Transaction | None = None) -> str:
        """
        Spell a refusal, "" for none.
        """
        return spelled(self.module.rcpt_to(session(), through or transaction(), named))


def spelled(verdict: MaybeVerdict) -> str:
    """
    Spell a verdict's reply.
    """
    return "" if verdict is None or verdict.reply is None else str(verdict.reply)


class RewriteTests(AliasCase):
    """
    Who gets the mail.
    """

    def test_interface(self) -> None:
        """
        It is a module.
        """
        self.use({"a": "b"})
        verifyObject(IModule, self.module)

    def test_addresses(self) -> None:
        """
        An address becomes one or several others; what is no alias is left alone, without a verdict.
        """
        self.use({"info@example.org": ["Ann@example.org", "bob@elsewhere.example"], "Sales@Example.org": "x@y.example"})
        self.assertEqual(
            self.say("INFO@example.org", "sales@example.org"),
            ["Ann@example.org", "bob@elsewhere.example", "x@y.example"],
        )
        self.assertEqual(self.say("info@example.net"), ["info@example.net"])
        self.assertIsNone(self.module.rcpt_to(session(), transaction(), recipient("other@example.org")))

    def test_record(self) -> None:
        """
        What an address became is recorded, in few words.
        """
        self.use({"a": "b", "many": [f"u{n}" for n in range(12)]})
        made = transaction()
        verdict = self.module.rcpt_to(session(), made, recipient("a@example.org"))
        self.assertEqual(verdict, accept("becomes b@example.org"))
        verdict = self.module.rcpt_to(session(), made, recipient("many@example.org"))
        assert verdict is not None
        self.assertTrue(verdict.why.startswith("becomes u0@example.org, u1@example.org"), verdict.why)
        self.assertTrue(verdict.why.endswith("u9@example.org and 2 more"), verdict.why)

    def test_parameters(self) -> None:
        """
        The original recipient stays known as ORCPT, and what the client asked for holds for the new ones
        (RFC 3461 §5.2.7).
        """
        self.use({"a": ["b", "c"]})
        made = transaction()
        named = Recipient(parse_address("a@example.org"), {"NOTIFY": "FAILURE"})
        self.refusal(named, made)
        made.accept(named)
        self.assertEqual(
            [each.parameters for each in made.recipients], [{"NOTIFY": "FAILURE", "ORCPT": "rfc822;a@example.org"}] * 2
        )

    def test_names(self) -> None:
        """
        A name holds in all our domains, and on this host; a bare target is a name in the same domain.
        """
        self.use({"info": ["ann", "bob@elsewhere.example"]})
        self.assertEqual(self.say("info@example.net"), ["ann@example.net", "bob@elsewhere.example"])
        self.assertEqual(self.say("info@mx.example.org")[0], "ann@mx.example.org")
        self.assertEqual(self.say("info@elsewhere.example"), ["info@elsewhere.example"])

    def test_domains(self) -> None:
        """
        A domain becomes another one, or all of it is for one address; what has its own alias goes there.
        """
        self.use(
            {"@old.example": "@example.org", "@example.net": "boss@example.org", "ann@example.net": "ann@example.net"}
        )
        self.assertEqual(self.say('"J. Doe"@old.example'), ['"J. Doe"@example.org'])
        self.assertEqual(self.say("x@example.net", "ann@example.net"), ["boss@example.org", "ann@example.net"])

    def test_exempt(self) -> None:
        """
        An address that is an alias of itself stays as it is: nothing is rewritten.
        """
        self.use({"@example.net": "boss@example.org", "ann@example.net": "ann@example.net"})
        self.assertIsNone(self.module.rcpt_to(session(), transaction(), recipient("ann@example.net")))

    def test_aliases_of_aliases(self) -> None:
        """
        Targets are looked up again, and each recipient comes once, in the order in which it was met.
        """
        self.use({"all": ["staff", "bob"], "staff": ["ann", "bob", "cleo@example.net"], "cleo": "dan@example.org"})
        self.assertEqual(self.say("all@example.org"), ["ann@example.org", "bob@example.org", "dan@example.org"])

    def test_order(self) -> None:
        """
        The address comes first, then the name, then all of the domain.
        """
        self.use({"a@example.org": "exact", "a": "name", "@example.org": "rest@example.com"})
        self.assertEqual(
            self.say("a@example.org", "b@example.org", "a@example.net"), ["rest@example.com", "name@example.net"]
        )
        self.use({"a@example.org": "exact@example.com", "a": "name@example.com", "@example.org": "rest@example.com"})
        self.assertEqual(
            self.say("a@example.org", "b@example.org", "a@example.net"),
            ["exact@example.com", "rest@example.com", "name@example.com"],
        )

    def test_after_another_module(self) -> None:
        """
        What a module before made of a recipient is looked up; all of it counts.
        """
        self.use({"b": "c", "gone": ":fail: left"})
        for others, told in (
            (("b", "x"), ["c@example.org", "x@example.org"]),
            (("gone", "x"), ["x@example.org"]),
            ((), []),
        ):
            made = transaction()
            named = recipient("a@example.org")
            made.rewrite(named, *[parse_address(f"{other}@example.org") for other in others])
            self.assertEqual(self.say("a@example.org", through=made), told)
        made = transaction()
        made.rewrite(recipient("a@example.org"), parse_address("gone@example.org"))
        self.assertEqual(self.refusal(recipient("a@example.org"), made), "550 5.1.1 left")

    def test_internationalized(self) -> None:
        """
        Local parts and domains that are not ASCII have aliases, too.
        """
        self.use({"Jürgen@münchen.example": "juergen@example.org", "j": "Jürgen@münchen.example"})
        named = Recipient(parse_address("jürgen@münchen.example", utf8=True))
        made = transaction()
        self.refusal(named, made)
        made.accept(named)
        self.assertEqual([each.address.text for each in made.recipients], ["juergen@example.org"])
        self.assertEqual(self.say("j@example.org"), ["juergen@example.org"])


class RootTests(AliasCase):
    """
    Mail for the administrator of this host.
    """

    def test_root(self) -> None:
        """
        root, postmaster and <Postmaster> of this host are one person; the postmasters of our domains are not.
        """
        self.use({}, root="admin@example.com")
        for address in ("root@mx.example.org", "PostMaster@MX.example.org", "root@localhost", "Postmaster"):
            self.assertEqual(self.say(address), ["admin@example.com"], address)
        for address in ("postmaster@example.org", "root@example.org", "ann@mx.example.org"):
            self.assertEqual(self.say(address), [address])

    def test_names_come_first(self) -> None:
        """
        What the aliases say of root or postmaster counts more.
        """
        self.use({"postmaster": "pm@example.com", "@mx.example.org": "rest@example.com"}, root="admin@example.com")
        self.assertEqual(
            self.say("postmaster@mx.example.org", "Postmaster", "root@mx.example.org", "x@mx.example.org"),
            ["pm@example.com", "admin@example.com", "rest@example.com"],
        )

    def test_postmaster_of_no_domain(self) -> None:
        """
        <Postmaster> is this host's, whatever its alias is.
        """
        self.use({"postmaster": ["pm", "@other.example"]})
        self.assertEqual(self.say("Postmaster"), ["pm@mx.example.org", "Postmaster@other.example"])


class DetailTests(AliasCase):
    """
    user+detail.
    """

    def test_detail(self) -> None:
        """
        An address with a detail is looked up as it is, then without it; what is no alias keeps it.
        """
        self.use({"ann": "ann@example.com", "ann+x": "bob@example.com"})
        self.assertEqual(
            self.say("ann+lists@example.org", "Ann+X@example.org", "cleo+x@example.org", "+x@example.org"),
            ["ann@example.com", "bob@example.com", "cleo+x@example.org", "+x@example.org"],
        )

    def test_kept(self) -> None:
        """
        The detail goes along if that is wanted, and fits.
        """
        self.use({"ann": ["ann@example.com", '"a b"@example.com', "@old.example"]}, keep_detail=True)
        self.assertEqual(
            self.say("ann+X@example.org"), ["ann+X@example.com", '"a b+X"@example.com', "ann+X@old.example"]
        )
        long = "x" * 59
        self.use({"ann": "somebody@example.com"}, keep_detail=True)
        self.assertEqual(self.say(f"ann+{long}@example.org"), ["somebody@example.com"])

    def test_other_signs(self) -> None:
        """
        Another delimiter may be chosen, or none.
        """
        self.use({"ann": "ann@example.com"}, delimiter="-")
        self.assertEqual(self.say("ann-x@example.org", "ann+x@example.org"), ["ann@example.com", "ann+x@example.org"])
        self.use({"ann": "ann@example.com"}, delimiter="")
        self.assertEqual(self.say("ann+x@example.org"), ["ann+x@example.org"])

    def test_alias_with_a_detail_of_itself(self) -> None:
        """
        Mail for somebody may go to a detail of the same, and that is no loop.
        """
        self.use({"ann": "ann+inbox"})
        self.assertEqual(self.say("ann@example.org", "ann+x@example.org"), ["ann+inbox@example.org"])


class NobodyTests(AliasCase):
    """
    Mail that goes to nobody.
    """

    def test_discarded(self) -> None:
        """
        An alias may discard: the client hears that all is well, and there is a record.
        """
        self.use({"noreply": ":discard:", "both": ["noreply", "ann"]})
        made = transaction()
        verdict = self.module.rcpt_to(session(), made, recipient("noreply@example.org"))
        self.assertEqual(verdict, accept("discarded"))
        made.accept(recipient("noreply@example.org"))
        self.assertEqual((made.recipients, made.accepted), ([], 1))
        self.assertEqual(self.say("both@example.org"), ["ann@example.org"])

    def test_refused(self) -> None:
        """
        An alias may refuse, with a text or a whole reply; among others who take the mail it is passed over.
        """
        self.use(
            {
                "ann": ":fail: moved, ask Bob",
                "cleo": ":fail: 553 5.1.6 moved to cleo@example.com",
                "dan": ":fail: 450 tomorrow",
                "old": "ann",
                "both": ["ann", "bob"],
                "neither": ["ann", "noreply"],
                "noreply": ":discard:",
            }
        )
        for name, told in (
            ("ann", "550 5.1.1 moved, ask Bob"),
            ("old", "550 5.1.1 moved, ask Bob"),
            ("cleo", "553 5.1.6 moved to cleo@example.com"),
            ("dan", "450 4.1.1 tomorrow"),
            ("neither", ""),
        ):
            self.assertEqual(self.refusal(recipient(f"{name}@example.org")), told)
        self.assertEqual(self.say("both@example.org"), ["bob@example.org"])


class RepeatedTests(AliasCase):
    """
    Each address gets a message once.
    """

    def test_twice(self) -> None:
        """
        Who is a recipient already is not added again, in whatever order they come.
        """
        self.use({"all": ["ann", "bob"], "staff": ["bob", "cleo"]})
        self.assertEqual(
            self.say("ann@example.org", "all@example.org", "bob@example.org", "staff@example.org", "all@example.org"),
            ["ann@example.org", "bob@example.org", "cleo@example.org"],
        )

    def test_accepted_all_the_same(self) -> None:
        """
        The client hears 250 for each, and a refused recipient is not remembered as one who has the mail.
        """
        self.use({"all": ["ann", "bob"]})
        made = self.said("all@example.org", "bob@example.org")
        self.assertEqual(made.accepted, 2)
        made = transaction()
        self.refusal(recipient("all@example.org"), made)  # and somebody else refuses it
        self.assertEqual(self.say("bob@example.org", through=made), ["bob@example.org"])

    def test_dropped_since(self) -> None:
        """
        Who was a recipient, and is none any more, is added.
        """
        self.use({"all": ["ann", "bob"], "staff": ["bob", "cleo"]})
        made = self.said("all@example.org")
        del made.recipients[1]
        self.assertEqual(self.say("staff@example.org", through=made)[1:], ["bob@example.org", "cleo@example.org"])
        made = self.said("all@example.org")
        made.recipients[1] = recipient("dan@example.org")
        self.assertEqual(self.say("bob@example.org", through=made)[2:], ["bob@example.org"])

    def test_the_same_twice(self) -> None:
        """
        A repeated RCPT takes nothing away from the first one.
        """
        self.use({"a": ["a", "b"]})
        named = Recipient(parse_address("a@example.org"), {"ORCPT": "rfc822;a@example.org"})
        made = transaction()
        for _ in range(2):
            self.assertEqual(self.refusal(named, made), "")
            made.accept(named)
        self.assertEqual([each.address.text for each in made.recipients], ["a@example.org", "b@example.org"])


class LimitTests(AliasCase):
    """
    Loops and masses.
    """

    def test_too_many(self) -> None:
        """
        More addresses than allowed are an error of ours: 451, and an error in the log.
        """
        self.use({"all": ["ann", "bob", "cleo"]}, max_addresses=2)
        self.assertEqual(self.refusal(recipient("all@example.org")), "451 4.3.5 the address stands for too many others")
        self.use({"all": ["ann", "bob"]}, max_addresses=2)
        self.assertEqual(self.refusal(recipient("all@example.org")), "")

    def test_too_many_together(self) -> None:
        """
        That holds, too, for what another module made of one recipient.
        """
        self.use({"all": ["ann", "bob"]}, max_addresses=3)
        made = transaction()
        made.rewrite(recipient(), *[parse_address(f"{name}@example.org") for name in ("all", "x", "y")])
        self.assertEqual(self.refusal(recipient(), made)[:3], "451")

    def test_loop(self) -> None:
        """
        A loop is cut where it closes, and mail goes there.
        """
        self.use({"a": ["b", "x"], "b": "c", "c": "a"})
        self.assertEqual(self.say("a@example.org"), ["a@example.org", "x@example.org"])
        self.assertEqual(self.say("b@example.org"), ["b@example.org", "x@example.org"])


class FileTests(SynchronousTestCase):
    """
    Aliases in a file.
    """

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = Path(self.folder, "aliases")
        self.services = FakeServices(self.folder, DOMAINS)

    def told(self, module: Alias, address: str) -> list[str]:
        """
        Say RCPT, and tell what it becomes.
        """
        made = transaction()
        module.rcpt_to(session(), made, recipient(address))
        return [each.address.text for each in made.becomes(recipient(address))]

    def test_followed(self) -> None:
        """
        A file that is changed is read again; what the configuration says counts more.
        """
        self.path.write_text("a: b\nc: d\n", encoding="utf-8")
        module = Alias({"c": "x"}, file="aliases")
        module.start(self.services)
        self.assertEqual(
            self.told(module, "a@example.org") + self.told(module, "c@example.org"), ["b@example.org", "x@example.org"]
        )
        self.path.write_text("a: bob\nc: dan\n# more\n", encoding="utf-8")
        self.services.clock.advance(5)
        self.assertEqual(
            self.told(module, "a@example.org") + self.told(module, "c@example.org"),
            ["bob@example.org", "x@example.org"],
        )

    def test_wrong(self) -> None:
        """
        A file that is wrong is told at start.
        """
        self.path.write_text("a: b\nc\n", encoding="utf-8")
        error = self.assertRaises(ValueError, Alias(file="aliases").start, self.services)
        self.assertIn("line 2: no colon", str(error))

    def test_lines(self) -> None:
        """
        Lines go on where the next one begins with a blank; signs inside quotes and brackets part nothing.
        """
        table = read_aliases(
            "# all\n\nAll: ann,\n  bob ,\n\n# two more\n\tcleo@Example.org\r\n"
            '"a:b, c"@example.org : "x, \\" y"@example.com\n'
            "d@[IPv6:::1]:e\n"
            "@old.example: @münchen.example\n"
            "gone: :fail: 550 5.7.1 no: never, ever\n"
        )
        self.assertEqual(
            {key: [str(target) for target in entry.targets] for key, entry in table.items()},
            {
                ("all", ""): ["ann", "bob", "cleo@example.org"],
                ("a:b, c", "example.org"): ['"x, \\" y"@example.com'],
                ("d", "[IPv6:::1]"): ["e"],
                ("\0", "old.example"): ["@xn--mnchen-3ya.example"],
                ("gone", ""): [],
            },
        )

    def test_wrong_lines(self) -> None:
        """
        Each wrong line is told.
        """
        for line in (
            "a",
            ": b",
            "a:",
            "a: b,",
            "a: ,b",
            "a b: c",
            "a: b c",
            "a@: b",
            "@: b",
            "a: @",
            "a: b@",
            "a: :discard:, b",
            "a: b, :fail: no",
            "a: :drop:",
            "a: :include:/etc/mail/list",
            "a: /dev/null",
            "a: b, |/usr/bin/vacation",
            "a: :fail:",
            "a: :fail: ümlaut",
            "a: :fail: 250 2.0.0 fine",
            "a: :fail: 550 4.1.1 what",
            '"a: b',
            'a: "b"',
            "a:b\nA:c",
        ):
            error = self.assertRaises(ValueError, read_aliases, f"ok: fine\n{line}\n")
            self.assertIn("line ", str(error), line)


class OptionTests(SynchronousTestCase):
    """
    What the operator may write.
    """

    def test_wrong(self) -> None:
        """
        What makes no sense is told with the name of the option.
        """
        for options, key in (
            ({"aliases": ["a"]}, "aliases"),
            ({"aliases": {"a b": "c"}}, "aliases"),
            ({"aliases": {"a": 7}}, "aliases: a"),
            ({"aliases": {"a": ["b", 7]}}, "aliases: a"),
            ({"aliases": {"a": ""}}, "aliases: a"),
            ({"aliases": {"a": []}}, "aliases: a"),
            ({"aliases": {"a": "b", "A": "c"}}, "aliases: A"),
            ({"root": "a b"}, "root"),
            ({"root": "a", "delimiter": "--"}, "delimiter"),
            ({"root": "a", "delimiter": "@"}, "delimiter"),
            ({"root": "a", "keep_detail": 1}, "keep_detail"),
            ({"root": "a", "max_addresses": 0}, "max_addresses"),
            ({"file": 7}, "file"),
            ({}, "nothing to do"),
        ):
            error = self.assertRaises(ValueError, Alias, **options)
            self.assertIn(key, str(error))
