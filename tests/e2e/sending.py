"""
The world of a sender who takes care: empath as examples/sender.toml has it, but for names, ports, paths and times,
which belong to the test; next hops, mailboxes behind LMTP, and an application with a webhook.
"""

from __future__ import annotations

import smtplib
import tomllib
from collections.abc import Mapping
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any, Final, cast

from tests.e2e.clients import ROOT
from tests.e2e.controlled import Controlled
from tests.e2e.dialogue import Dialogue, Heard, queue_id
from tests.e2e.hook import HOST, Hook
from tests.e2e.lmtp_peer import LmtpPeer
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import merged
from tests.e2e.serving import LOGIN, PASSWORD, ServingCase
from tests.e2e.signed_mail import DOMAIN, KeyFiles
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.unbound import mail_zone

ALICE: Final = f"alice@{DOMAIN}"
OUTSIDE: Final = "eve@two.test"
HOOK_SECRET: Final = "the secret of the hook"
SECRETS: Final = {
    "SRS_SECRET": "this is nobody's business",
    "VERP_SECRET": "neither is this, is it",
    "HOOK_SECRET": HOOK_SECRET,
}
NAMES: Final = {"s2026": "rsa", "e2026": "ed"}


def mail(subject: str, *fields: str, author: str = ALICE) -> bytes:
    """
    Make a message.
    """
    header = [f"From: <{author}>", f"Subject: {subject}", f"Message-ID: <{subject}@{DOMAIN}>", *fields]
    return "\r\n".join([*header, "", subject, ""]).encode()


def bounce(returns: str) -> bytes:
    """
    Make what another host says of a recipient, to a reverse-path of ours.
    """
    return (
        f"From: MAILER-DAEMON@one.test\r\nTo: <{returns}>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; one.test\r\n\r\n"
        "Final-Recipient: rfc822; whoever@one.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    ).encode()


def complaint(returns: str, content: bytes) -> bytes:
    """
    Make what a provider sends when a reader takes mail for spam (RFC 5965).
    """
    return (
        (
            f"From: fbl@one.test\r\nTo: complaints@{DOMAIN}\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
            "--b\r\n\r\nabuse\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
            f"User-Agent: fbl/1\r\nVersion: 1\r\nOriginal-Mail-From: <{returns}>\r\n\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\n"
        ).encode()
        + content
        + b"\r\n--b--\r\n"
    )


class SendingCase(ServingCase):
    """
    `one` and `two` are the next hops of one.test and two.test, `boxes` has all mailboxes of our domain, `hook` the
    application of tickets.signed.test.
    """

    aliases = f"club@{DOMAIN}: far@one.test, gone@one.test\nfwd@{DOMAIN}: far@one.test\nlost@{DOMAIN}: gone@one.test\n"

    def setUp(self) -> None:
        super().setUp()
        self.keys = KeyFiles(self.folder / "keys")
        self.one, self.two = self.server, self.peer("127.0.0.12")
        self.boxes = LmtpPeer(self.folder / "lmtp")
        self.addCleanup(self.boxes.stop)
        self.hook = Hook(self.authority, free_port(HOST), HOOK_SECRET)
        self.addCleanup(self.hook.stop)
        self.sender = self.example()
        self.port = self.implicit(self.sender, kind="submission")

    def example(self) -> Controlled:
        """
        Make empath as the example has it; not started.
        """
        text = (ROOT / "examples" / "sender.toml").read_text().replace("example.org", DOMAIN)
        settings = tomllib.loads(text)
        for section in ("hostname", "smtp", "spool"):
            del settings[section]
        for name, content in (("aliases", self.aliases), ("senders", f"{LOGIN}: {ALICE}\n")):
            self.file(name, content.encode())
        settings["auth"] = {"users": str(self.users), "senders": str(self.folder / "senders")}
        settings["modules"][0]["options"]["file"] = str(self.folder / "aliases")
        delivery, domains = settings["delivery"], settings["delivery"]["domains"]
        for key in delivery["dkim"]["keys"]:
            key["selector"] = NAMES[key["selector"]]
            key["private_key"] = str(self.folder / "keys" / f"{key['selector']}.pem")
        domains[DOMAIN]["path"] = str(self.folder / "lmtp")
        domains[f"tickets.{DOMAIN}"]["url"] = f"https://hooks.one.test:{self.hook.port}/mail"
        zones = [*mail_zone("one.test", "127.0.0.11"), *mail_zone("two.test", "127.0.0.12")]
        dns = self.dns(*zones, f"hooks.one.test. A {HOST}")
        ours = {"port": self.peer_port, "dns": {"servers": [dns.server]}}
        environment = {"PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(self.authority_file), **SECRETS}
        made = Controlled(self.folder / "sender", merged(settings, {"delivery": ours}), environment)
        self.addCleanup(self._end, made)
        return made

    def start(self, **delivery: Any) -> Controlled:
        """
        Start it, with more settings of [delivery].
        """
        self.sender.change({"delivery": delivery})
        self.sender.start()
        return self.sender

    def hand_in(
        self, content: bytes, *recipients: str, notify: Mapping[str, str] | None = None, sender: str = ALICE
    ) -> str:
        """
        Log in and hand in a message, as a program does; gives its queue id.
        """
        with smtplib.SMTP_SSL("localhost", self.port, context=self.context()) as client:
            client.login(LOGIN, PASSWORD)
            code, text = client.mail(sender)
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, text, sender)
            for recipient in recipients:
                code, text = client.rcpt(recipient, [f"NOTIFY={notify[recipient]}"] if notify else [])
                if code != 250:
                    raise smtplib.SMTPRecipientsRefused({recipient: (code, text)})
            code, text = client.data(content)
        return queue_id(Heard(code, (text.decode(),)))

    def from_outside(self, sender: str, recipient: str, content: bytes) -> Heard:
        """
        Send as a stranger's server does.
        """
        with Dialogue(self.sender.port, source="127.0.0.9") as client:
            client.greet()
            return client.post(sender, [recipient], content)

    def refused(self, recipient: str) -> str:
        """
        Tell how a recipient of ours is refused.
        """
        try:
            self.hand_in(mail("never"), recipient)
        except smtplib.SMTPRecipientsRefused as refusal:
            code, text = refusal.recipients[recipient]
            return f"{code} {text.decode()}"
        return ""

    def came(self, recipient: str, count: int = 1, server: StoringSmtpServer | None = None) -> list[tuple[str, bytes]]:
        """
        Wait for all that comes to a recipient elsewhere: reverse-path and content.
        """
        there = server or self.one
        wait_until(f"{count} for {recipient}", lambda: len(there.arrived(recipient)) >= count)
        stored = there.arrived(recipient)
        self.assertEqual(len(stored), count)
        return [(each.sender, each.content or b"") for each in stored]

    def reports(self, count: int, recipient: str = ALICE) -> list[EmailMessage]:
        """
        Wait for so many messages in a mailbox of ours, and read them.
        """
        wait_until(f"{count} in the mailbox", lambda: self.boxes.taken_for(recipient) >= count)
        self.assertEqual(self.boxes.taken_for(recipient), count)
        contents = [content for name, content in self.boxes.kept if name == recipient]
        return [parsed(content) for content in contents]

    def assert_signed(self, content: bytes) -> None:
        """
        Both signatures hold.
        """
        self.assertEqual(self.keys.dkimpy_refuses(content), [])

    def counted(self, *names: str) -> dict[str, float]:
        """
        Read samples of the page, by their names without `empath_` and `_total`; what is not there is 0.
        """
        _, page = self.sender.get("/metrics", metrics=True)
        samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        full = {name: "empath_{}_total{}{}".format(*name.partition("{")) for name in names}
        return {name: float(samples.get(full[name], 0)) for name in names}


def parsed(content: bytes) -> EmailMessage:
    """
    Read a message as Python does.
    """
    message = BytesParser(policy=default).parsebytes(content)
    assert isinstance(message, EmailMessage)
    return message


def said(report: EmailMessage) -> list[dict[str, str]]:
    """
    Tell the fields about each recipient of a report.
    """
    [status] = [part for part in report.walk() if part.get_content_type() == "message/delivery-status"]
    _, *recipients = cast("list[EmailMessage]", status.get_payload())
    return [{name: str(value) for name, value in fields.items()} for fields in recipients]
