"""
Recipients of our domains in a real process: who is unknown at the next hop is refused, aliases go where they say.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Final

from tests.e2e.debian_peers import Postfix
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import SENDER, EndToEndTestCase, smarthost
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath, Settings, merged
from tests.e2e.scripted import Close, Hang, says
from tests.e2e.storing_session import Options

OURS: Final[dict[str, Any]] = {"relay": {"domains": ["one.test"], "networks": []}}
UNKNOWN: Final = "550 5.1.1 no such user here"
SILENT: Final = "450 4.1.1 the recipient cannot be verified now, try again later"


def alias(**options: Any) -> dict[str, Any]:
    """
    Configure the module `alias`.
    """
    return {"factory": "alias", "options": options}


class RecipientsTestCase(EndToEndTestCase):
    """
    An instance for the domain one.test, whose mail goes to one peer that does not know nobody@one.test.
    """

    def started(self, *modules: dict[str, Any], settings: Settings | None = None) -> Empath:
        """
        Start empath and its next hop, `server`.
        """
        self.server = self.peer(
            "127.0.0.11", Options(extensions=("PIPELINING", "SIZE 1000000", "SMTPUTF8", "8BITMIME"))
        )
        self.server.script.on("RCPT", says(550, "5.1.1 who is that"), argument="<nobody@")
        base = merged(merged(smarthost(self.server), OURS), settings or {})
        empath = self.empath({**base, "modules": list(modules)})
        empath.start()
        return empath

    def rcpt(self, empath: Empath, *recipients: str, parameters: str = "") -> list[str]:
        """
        Name recipients in one transaction that is not finished, and tell the replies.
        """
        with Dialogue(empath.port) as client:
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}>{parameters}")
            return [str(client.say(f"RCPT TO:<{each}>")) for each in recipients]

    def probes(self, recipient: str) -> int:
        """
        Count how often the next hop was asked about a recipient, or given mail for one.
        """
        return sum(line.startswith(f"RCPT TO:<{recipient}>".encode()) for line in list(self.server.commands))


class VerifyTests(RecipientsTestCase):
    """
    Asked of the next hop, as it is by default.
    """

    def test_unknown_users_are_refused_and_the_others_get_their_mail(self) -> None:
        empath = self.started()
        self.assertEqual([r[:9] for r in self.rcpt(empath, "you@one.test")], ["250 2.1.5"])
        wait_until("asked", lambda: self.rcpt(empath, "nobody@one.test") == [UNKNOWN])  # 450 where all is slow
        asked = self.probes("nobody@one.test")
        self.assertEqual(self.rcpt(empath, "nobody@one.test", "NoBody@one.test"), [UNKNOWN] * 2)
        self.assertEqual(self.rcpt(empath, "x@elsewhere.test")[0][:9], "550 5.7.1")
        self.assertEqual(self.server.stored, [], "a probe brings no mail")
        self.assertIn(b"MAIL FROM:<>", [line.strip() for line in self.server.commands])
        self.assertEqual(self.probes("nobody@one.test"), asked, "who is known is not asked about again")
        self.send(empath, ["you@one.test"])
        self.wait_arrived(self.server, "you@one.test")
        self.assertTrue(empath.wait_logged("reject: RCPT", "nobody@one.test", UNKNOWN))
        self.assertEqual(empath.stop(), 0)

    def test_postmaster_is_not_asked_about(self) -> None:
        empath = self.started()
        self.server.script.on("RCPT", says(550, "5.1.1 no"), argument="<postmaster@")
        self.assertEqual(self.rcpt(empath, "postmaster@one.test")[0][:9], "250 2.1.5")
        self.assertEqual(self.probes("postmaster@one.test"), 0)

    def test_internationalized_recipients_are_asked_about(self) -> None:
        empath = self.started()
        with Dialogue(empath.port) as client:
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}> SMTPUTF8")
            client.send("RCPT TO:<jürgen@one.test>\r\n".encode())
            self.assertEqual(str(client.reply())[:9], "250 2.1.5")
        self.assertIn(b"MAIL FROM:<> SMTPUTF8", [line.strip() for line in self.server.commands])

    def test_what_was_said_survives_kill_9_while_the_next_hop_is_silent(self) -> None:
        empath = self.started()
        wait_until("asked", lambda: self.rcpt(empath, "nobody@one.test", "you@one.test")[0] == UNKNOWN)
        wait_until("both answers are stored", lambda: kept(empath) == 2)
        empath.kill()
        self.server.stop()
        empath.start()
        heard = self.rcpt(empath, "nobody@one.test", "you@one.test", "new@one.test")
        self.assertEqual([heard[0], heard[1][:9], heard[2]], [UNKNOWN, "250 2.1.5", SILENT])

    def test_a_next_hop_that_hangs_or_refuses_us_costs_no_recipient(self) -> None:
        empath = self.started(settings={"delivery": {"timeouts": {"rcpt_to": "2s"}}})
        self.server.script.on("RCPT", Hang(), argument="<slow@")
        self.server.script.on("RCPT", Close(), argument="<gone@")
        self.assertEqual(self.rcpt(empath, "slow@one.test", "gone@one.test"), [SILENT] * 2)
        self.server.script.on("MAIL", says(550, "5.7.1 no bounces here"), times=1)
        self.assertEqual(self.rcpt(empath, "you@one.test"), [SILENT])
        self.assertTrue(empath.wait_logged("one.test cannot be verified"))
        self.assertEqual(self.rcpt(empath, "you@one.test")[0][:9], "250 2.1.5")

    def test_who_may_relay_hears_of_unknown_users_too(self) -> None:
        empath = self.started(settings={"relay": {"networks": ["127.0.0.0/8"]}})
        self.assertEqual(self.rcpt(empath, "nobody@one.test"), [UNKNOWN])
        self.assertEqual(self.rcpt(empath, "nobody@elsewhere.test")[0][:9], "250 2.1.5")

    def test_a_stop_waits_for_no_probe(self) -> None:
        empath = self.started()
        self.server.script.on("RCPT", Hang(), argument="<slow@")
        with Dialogue(empath.port) as client:
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}>")
            client.send(b"RCPT TO:<slow@one.test>\r\n")
            wait_until("asked", lambda: self.probes("slow@one.test") == 1)
            self.assertEqual(empath.stop(), 0)

    def test_postfix_as_the_next_hop(self) -> None:
        known = "virtual_mailbox_maps = inline:{ {ann@one.test = ann/} }"
        postfix = Postfix("127.0.0.31", self.peer_port, "one.test", self.folder / "postfix", [known])
        self.addCleanup(postfix.stop)
        postfix.start()
        hop = {"delivery": {"domains": {"*": {"mx_override": f"127.0.0.31:{self.peer_port}"}}}}
        empath = self.empath(merged(hop, OURS))
        empath.start()
        names = [f"u{number}@one.test" for number in range(12)]
        heard = self.rcpt(empath, "ann@one.test", *names)
        self.assertEqual((heard[0][:9], heard[1:]), ("250 2.1.5", [UNKNOWN] * 12))
        self.send(empath, ["ann@one.test"])
        wait_until("kept", lambda: len(postfix.kept()) == 1)
        self.assertNotIn("too many errors", postfix.log())


class FileTests(RecipientsTestCase):
    """
    Known from a file.
    """

    def test_who_is_not_listed_is_refused_but_aliases_are_not_and_a_change_counts(self) -> None:
        file = self.folder / "recipients"
        file.write_text("ann@one.test\n")
        settings = {"relay": {"recipients": str(file)}}
        empath = self.started(alias(aliases={"sales": "ann", "gone": "nobody"}), settings=settings)
        heard = self.rcpt(empath, "Ann@one.test", "sales@one.test", "gone@one.test", "nobody@one.test", "x@two.test")
        self.assertEqual([each[:9] for each in heard], ["250 2.1.5"] * 2 + ["550 5.1.1"] * 2 + ["550 5.7.1"])
        file.write_text("@one.test\n")
        empath.wait_logged("was read again")
        self.assertEqual(self.rcpt(empath, "nobody@one.test")[0][:9], "250 2.1.5")
        self.assertEqual(self.server.commands, [], "nobody is asked")


class AliasTests(RecipientsTestCase):
    """
    Aliases, before the recipients are looked at.
    """

    def test_an_alias_needs_no_mailbox_of_its_own_and_what_it_becomes_does(self) -> None:
        aliases = {"sales@one.test": ["ann@one.test", "bob@elsewhere.test"], "gone@one.test": "nobody@one.test"}
        empath = self.started(alias(aliases=aliases))
        self.server.script.on("RCPT", says(550, "5.1.1 no"), argument="<sales@")
        self.assertEqual(self.rcpt(empath, "gone@one.test"), [UNKNOWN])
        self.send(empath, ["sales@one.test", "ann@one.test"])
        self.wait_arrived(self.server, "bob@elsewhere.test")
        self.wait_arrived(self.server, "ann@one.test")
        self.assertEqual(self.probes("sales@one.test"), 0)
        self.assertEqual(sum(len(each.recipients) for each in self.server.stored), 2)

    def test_the_original_recipient_goes_along(self) -> None:
        self.started_with_dsn(alias(aliases={"sales": "ann"}))
        self.assertIn(b"RCPT TO:<ann@one.test> ORCPT=rfc822;sales@one.test", self.said())

    def started_with_dsn(self, *modules: dict[str, Any]) -> None:
        """
        Start with a next hop that knows DSN, and send mail for sales@one.test.
        """
        empath = self.started(*modules)
        self.server.options.extensions = (*self.server.options.extensions, "DSN")
        self.send(empath, ["sales@one.test"])
        self.wait_arrived(self.server, "ann@one.test")

    def said(self) -> list[bytes]:
        """
        Give what the next hop heard, without line ends.
        """
        return [line.strip() for line in list(self.server.commands)]

    def test_unknown_ones_among_many_are_dropped(self) -> None:
        empath = self.started(alias(aliases={"team": ["ann", "nobody", "cleo@elsewhere.test"]}))
        self.send(empath, ["team@one.test"])
        self.wait_arrived(self.server, "ann@one.test")
        self.wait_arrived(self.server, "cleo@elsewhere.test")
        self.assertTrue(empath.wait_logged("team@one.test", "unknown recipients, which are dropped: nobody@one.test"))

    def test_a_file_of_aliases_and_mail_for_root_and_postmaster_of_this_host(self) -> None:
        file = self.folder / "aliases"
        file.write_text("info: ann@elsewhere.test,\n  bob@elsewhere.test\n@one.test: rest@elsewhere.test\n")
        options = {"file": str(file), "root": "admin@one.test", "aliases": {"admin": "admin"}}
        networks = {"relay": {"networks": ["127.0.0.0/8"], "domains": ["one.test"]}}
        empath = self.started(alias(**options), settings=networks)
        for address, others in (
            (f"root@{HOSTNAME}", ["admin@one.test"]),
            ("Postmaster", ["admin@one.test"]),
            ("any@one.test", ["rest@elsewhere.test"]),
            ("info+x@one.test", ["ann@elsewhere.test", "bob@elsewhere.test"]),
        ):
            self.server.stored.clear()
            self.send(empath, [address])
            wait_until(address, lambda: len(self.server.stored) == 1)
            self.assertEqual(list(self.server.stored[0].recipients), others)
        file.write_text("info: cleo@elsewhere.test\n")
        empath.wait_logged("was read again")
        self.send(empath, ["info@one.test"])
        self.wait_arrived(self.server, "cleo@elsewhere.test")


def kept(empath: Empath) -> int:
    """
    Count what modules have stored.
    """
    with closing(sqlite3.connect(empath.spool / "storage.sqlite")) as storage:
        return int(storage.execute("SELECT count(*) FROM item").fetchone()[0])
