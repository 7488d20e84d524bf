"""
Bounces that come later: a real Postfix takes mail, cannot deliver it, and writes to the reverse-path that we made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.e2e.debian_peers import Postfix
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import says

OURS: Final = "here.test"
THEIRS: Final = "there.test"
OUTSIDE: Final = "127.0.0.9"
SETTINGS: Final = {
    "relay": {"networks": ["127.0.0.1/32"], "domains": [OURS], "recipients": "any"},
    "modules": [{"factory": "alias", "options": {"aliases": {f"club@{OURS}": [f"gone@{THEIRS}"]}}}],
}


class ReturnsTests(EndToEndTestCase):
    """
    Postfix hands on what it has taken to a server that knows nobody.
    """

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        refusing = self.peer("127.0.0.11")
        refusing.script.on("RCPT", says(550, "5.1.1 no such mailbox"))
        self.instance = self.empath({**SETTINGS, "delivery": self.delivery()})
        main = [
            f"relay_domains = {THEIRS}",
            "virtual_mailbox_domains =",
            f"transport_maps = inline:{{ {THEIRS}=smtp:[127.0.0.11]:{refusing.port} }}",
            f"relayhost = [127.0.0.1]:{self.instance.port}",
            f"smtp_bind_address = {OUTSIDE}",
        ]
        self.postfix = Postfix("127.0.0.1", self.port, THEIRS, self.folder / "postfix", main)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()
        self.instance.start()

    def delivery(self) -> dict[str, object]:
        """
        All that has to do with ways back, and where mail goes.
        """
        folders = {each: {"strategy": "maildir", "path": str(self.folder / each)} for each in (OURS, "far.test")}
        return {
            "srs": {"domain": f"srs.{OURS}", "secret": "this is nobody's business"},
            "verp": {"enabled": True, "secret": "neither is this, is it"},
            "suppression": {"enabled": True},
            "domains": {THEIRS: {"mx_override": f"127.0.0.1:{self.port}"}, **folders},
        }

    def post(self, sender: str, recipient: str, source: str = "127.0.0.1") -> None:
        """
        Send a message.
        """
        with Dialogue(self.instance.port, source=source) as client:
            client.greet()
            self.assertEqual(client.post(sender, [recipient], message()).code, 250)

    def returned(self, domain: str) -> str:
        """
        Wait for the one message that comes back to a domain.
        """
        new = Path(self.folder / domain)
        wait_until(f"back to {domain}", lambda: len(list(new.glob("**/new/*"))) == 1, 40.0)
        (file,) = new.glob("**/new/*")
        return file.read_text()

    def test_a_bounce_tells_of_whom_it_is(self) -> None:
        """
        It reaches the sender, whom nobody told of VERP, and its recipient gets no more mail, after kill -9 either.
        """
        self.post(f"alice@{OURS}", f"gone@{THEIRS}")
        self.assertIn("Action: failed", self.returned(OURS))
        read = rf"bounce received: to=<gone@{re.escape(THEIRS)}>, action=failed, dsn=5\.1\.1, category=bad-mailbox"
        wait_until("read", lambda: re.search(read, self.instance.log()) is not None)
        self.assertIn(f"from=<alice+gone={THEIRS}=", self.postfix.log())
        for _ in range(2):
            self.refused(self.instance)
            self.instance.kill()
            self.instance.start()

    def refused(self, instance: Empath) -> None:
        """
        The recipient is refused in the session.
        """
        with Dialogue(instance.port) as client:
            client.greet()
            client.say(f"MAIL FROM:<alice@{OURS}>")
            heard = client.say(f"RCPT TO:<gone@{THEIRS}>")
            self.assertEqual(heard.code, 550)
            self.assertIn("suppression list", str(heard))

    def test_a_bounce_of_forwarded_mail_finds_its_sender(self) -> None:
        """
        Mail from outside is forwarded by an alias, and what comes of it goes to who wrote it.
        """
        self.post("eve@far.test", f"club@{OURS}", OUTSIDE)
        self.assertIn("Action: failed", self.returned("far.test"))
        self.assertRegex(self.postfix.log(), rf"from=<SRS0=[A-Z2-7]{{8}}=[A-Z2-7]{{2}}=far\.test=eve@srs\.{OURS}>")
