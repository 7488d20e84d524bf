"""
Sessions in every state while all of the configuration becomes another one.
"""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.debian_peers import greets
from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.harness import message
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, on_loopback
from tests.e2e.serving import LOGIN, PASSWORD, SHA512_CRYPT, ServingCase

SLOW = """
from twisted.internet.task import deferLater
from zope.interface import implementer

from empath.modules import IModule


@implementer(IModule)
class Slow:
    name = "slow"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def start(self, services):
        self.clock = services.clock

    async def check_rcpt(self, session, transaction, recipient):
        await deferLater(self.clock, self.seconds)

    async def stop(self):
        pass
"""


def said(*words: str) -> bytes:
    """
    Encode what AUTH PLAIN says.
    """
    return base64.b64encode("\0".join(words).encode())


class Handshake:
    """
    TLS over `client`, in steps: `first` is what is to be sent at first.
    """

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        self._client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._stepped(self._tls.do_handshake)
        self.first = self._outgoing.read()

    def finish(self) -> None:
        """
        Go on until it is done; the server says something in each step.
        """
        while not self._stepped(self._tls.do_handshake):
            self._hear()
        self._client.sendall(self._outgoing.read())

    def say(self, line: bytes) -> bytes:
        """
        Send a line; gives what comes first of its reply, but for tickets of TLS.
        """
        self._tls.write(line)
        self._client.sendall(self._outgoing.read())
        heard: list[bytes] = []
        while not self._stepped(lambda: heard.append(self._tls.read())):
            self._hear()
        return b"".join(heard)

    def _hear(self) -> None:
        came = self._client.recv(65536)
        if not came:
            raise Closed("in TLS")
        self._incoming.write(came)

    def _stepped(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except ssl.SSLWantReadError:
            return False
        return True


class SessionTests(ServingCase):
    """
    One process each; before and after differ in listeners, certificates, logins, relay control, limits and modules.
    """

    def before(self, **settings: Any) -> tuple[Empath, int]:
        """
        Start one with a second listener that has STARTTLS; tells that one's port.
        """
        empath = self.serving(settings)
        empath.folder.mkdir(parents=True, exist_ok=True)
        (empath.folder / "slow_words.py").write_text(SLOW)
        port = self.starttls(empath, auth=True)
        empath.start()
        return empath, port

    def change_all(self, empath: Empath, *listeners: dict[str, Any], **more: Any) -> None:
        """
        Have another configuration used, whose listeners are these, on ports of their own unless they name one.
        """
        others = self.folder / "others"
        others.write_text(f"somebody:{SHA512_CRYPT}\n")
        settings = {
            "smtp": {
                "listeners": [{"endpoint": on_loopback(free_port()), **each} for each in listeners],
                "max_message_size": "10KiB",
                "max_recipients": 1,
                "max_connections": 1,
                "max_connections_per_client": 1,
                "max_commands": 3,
                "max_messages": 1,
                "timeouts": {"command": "2s", "data_block": "2s", "connection": "1m"},
                "banner": "{hostname} another",
            },
            "auth": {"users": str(others)},
            "relay": {"networks": ["192.0.2.0/24"]},
            "modules": [],
            "delivery": {"max_parallel_deliveries": 1, "shutdown_timeout": "5s"},
            **more,
        }
        empath.reload(settings)
        empath.wait_logged("SIGHUP: configuration read again")
        self.assertNotIn("Traceback", empath.log())

    def test_in_the_handshake(self) -> None:
        """
        Of a listener that goes, and of one whose certificate changes: TLS is had with what there was, or is now.
        """
        for goes in (True, False):
            empath, port = self.before()
            self.addCleanup(empath.running().kill)
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            with client:
                for line in (b"", b"EHLO c.test\r\n", b"STARTTLS\r\n"):
                    client.sendall(line)
                    time.sleep(0.1)
                    client.recv(4096)
                hello = Handshake(client, self.context())
                client.sendall(hello.first[:20])
                time.sleep(0.1)
                stays = {"endpoint": on_loopback(port), "tls": "starttls", **self.issue("third", "localhost")}
                self.change_all(empath, *([{}] if goes else [stays]))
                client.sendall(hello.first[20:])
                hello.finish()
                self.assertIn(b"250", hello.say(b"EHLO c.test\r\n"))
            empath.stop()

    def test_in_an_exchange_of_auth(self) -> None:
        """
        The logins that there were when the session began decide.
        """
        empath, port = self.before()
        with smtplib.SMTP("localhost", port, timeout=20) as client:
            client.starttls(context=self.context())
            client.ehlo()
            self.assertEqual(client.docmd("AUTH", "PLAIN")[0], 334)
            self.change_all(empath, {})
            self.assertEqual(client.docmd(said("", LOGIN, PASSWORD).decode())[0], 235)
            self.assertEqual(client.docmd("MAIL", "FROM:<bob@example.com>")[0], 250)
            self.assertEqual(client.docmd("RCPT", "TO:<you@one.test>")[0], 250)
            self.assertEqual(client.docmd("DATA")[0], 354)
            client.send(message("x") + b".\r\n")
            self.assertEqual(client.getreply()[0], 250)
        self.arrived()

    def test_in_content(self) -> None:
        """
        In DATA and between the chunks of BDAT; a message that is larger than what is allowed now is still taken.
        """
        empath, port = self.before()
        content = message("large") + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 400
        data, bdat = Dialogue(port), Dialogue(empath.port)
        for each in (data, bdat):
            each.greet()
            self.assertEqual(each.say("MAIL FROM:<bob@example.com>").code, 250)
            self.assertEqual(each.say("RCPT TO:<you@one.test>").code, 250)
            self.assertEqual(each.say("RCPT TO:<me@one.test>").code, 250)
        self.assertEqual(data.say("DATA").code, 354)
        data.send(content[:5000])
        bdat.send(b"BDAT 5000\r\n" + content[:5000])
        self.assertEqual(bdat.reply().code, 250)
        bdat.send(b"BDAT 6000\r\n" + content[5000:6000])
        self.change_all(empath, {})
        data.send(content[5000:] + b".\r\n")
        self.assertEqual(data.reply().code, 250)
        bdat.send(content[6000:11000])
        self.assertEqual(bdat.reply().code, 250)
        bdat.send(b"BDAT %d LAST\r\n" % (len(content) - 11000) + content[11000:])
        self.assertEqual(bdat.reply().code, 250)
        for each in (data, bdat):
            self.assertEqual(each.say("NOOP").code, 250)
            self.assertEqual(each.say("QUIT").code, 221)
            each.close()
        wait_until("both arrived", lambda: len(self.server.stored) == 2)
        for stored in self.server.stored:
            self.assertEqual(len(stored.recipients), 2)
            self.assert_relayed(stored.content, content)

    def test_while_a_module_waits(self) -> None:
        """
        That is gone then: its answer counts, and the message arrives.
        """
        slow = {"factory": "slow_words:Slow", "options": {"seconds": 1.5}, "timeout": "10s"}
        empath, port = self.before(modules=[slow])
        with Dialogue(port) as client:
            client.greet()
            self.assertEqual(client.say("MAIL FROM:<bob@example.com>").code, 250)
            client.send(b"RCPT TO:<you@one.test>\r\n")
            time.sleep(0.2)
            self.change_all(empath, {})
            self.assertEqual(client.reply().code, 250)
            self.assertEqual(client.say("DATA").code, 354)
            client.send(message("x") + b".\r\n")
            self.assertEqual(client.reply().code, 250)
        self.arrived()
        self.assertEqual(empath.logged("slow", "did not"), [])

    def test_more_than_are_allowed_now(self) -> None:
        """
        All go on, none more is let in until there are as few.
        """
        empath, _ = self.before()
        many = [Dialogue(empath.port) for _ in range(5)]
        for each in many:
            each.greet()
        listener = {"endpoint": on_loopback(empath.port)}
        self.change_all(empath, listener)
        for each in many:
            self.assertEqual(each.say("NOOP").code, 250)
        with Dialogue(empath.port) as client:
            self.assertEqual(client.reply().code, 421)
        for each in many:
            each.say("QUIT")
            each.close()
        wait_until("one is let in", lambda: greets("127.0.0.1", empath.port))
