"""
Mail of all kinds reaches receivers that we did not write, in a form that they announce to take, or comes back.
"""

from __future__ import annotations

import re
import smtplib
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Final

import attrs

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.mixed_mail import ORIGIN, Mail, made, mime_difference, mixed
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.receivers import DovecotLmtp, Exim, Haraka, KeepingPostfix, Receiver
from tests.e2e.sameness import first_difference

DOMAIN: Final = "there.test"
CLIENT: Final = "client.test"
UNCHANGED: Final = "as it is"
ENCODED: Final = "encoded"
_LIVE: Final = re.compile(r'^empath_delivery_queue_size\{status="(?:pending|in-progress|retry|held)"\} (\S+)$', re.M)
_ESCAPED: Final = re.compile(r"\\x\{([0-9A-F]+)\}")  # RFC 6533 §3
_FAILED: Final = re.compile(r"^Final-Recipient: [^;\n]*; *(\S+)\nAction: failed\nStatus: (\S+)$", re.M)


@attrs.frozen(slots=True)
class Announced:
    """
    What a receiver says that it takes; `size` is 0 where it names no limit.
    """

    eight_bit: bool
    utf8: bool
    binary: bool
    size: int

    def fate(self, mail: Mail, recipient: str) -> str:
        """
        Tell in which form a message has to reach a recipient, or the status code that it comes back with.
        """
        encoded = not self.binary if mail.binary else mail.eight_bit and not self.eight_bit
        if mail.utf8_header and not self.utf8:
            return "5.6.7"
        if encoded and mail.sealed:
            return "5.6.3"
        if 0 < self.size < len(mail.raw):
            return "5.3.4"
        if not self.utf8 and not (mail.sender + recipient).isascii():
            return "5.6.7"
        return ENCODED if encoded else UNCHANGED


def announced(port: int, verb: str) -> Announced:
    """
    Ask a receiver.
    """
    with Dialogue(port) as client:
        client.reply()
        words = {line.partition(" ")[0].upper(): line for line in client.say(f"{verb} {CLIENT}").lines}
    size = words.get("SIZE", "").partition(" ")[2]
    chunks = "CHUNKING" in words and "BINARYMIME" in words
    return Announced("8BITMIME" in words, "SMTPUTF8" in words, chunks, int(size or 0))


class ReceiversTests(EndToEndTestCase):
    """
    From a client, through empath, to each of them. Proofs send more, and larger messages.
    """

    count = 22
    largest = 1_000_000
    limit = 700_000
    seconds = 60.0
    pause = 0.1

    def test_postfix(self) -> None:
        """
        Takes 8-bit and internationalized mail.
        """
        port = free_port()
        self.pass_through(KeepingPostfix(port, DOMAIN, self.folder / "postfix"), port)

    def test_postfix_that_takes_seven_bits(self) -> None:
        """
        And no more than so much: mail is encoded for it, or comes back.
        """
        port = free_port()
        less = ("smtpd_discard_ehlo_keywords = 8bitmime, smtputf8, chunking", f"message_size_limit = {self.limit}")
        self.pass_through(KeepingPostfix(port, DOMAIN, self.folder / "postfix", *less), port)

    def test_exim(self) -> None:
        """
        Takes chunks besides.
        """
        port = free_port()
        self.pass_through(Exim(port, self.folder / "exim"), port)

    def test_dovecot(self) -> None:
        """
        By LMTP, with a reply for each recipient.
        """
        port = free_port()
        self.pass_through(DovecotLmtp(port, self.folder / "dovecot"), port, "lmtp")

    def test_haraka(self) -> None:
        """
        A server from npm.
        """
        port = free_port()
        self.pass_through(Haraka(port, self.folder / "haraka"), port)

    def pass_through(self, receiver: Receiver, port: int, strategy: str = "smtp") -> None:
        """
        Send all kinds to a receiver; each message arrives once for each recipient, or comes back once for it.
        """
        self.addCleanup(receiver.stop)
        receiver.start()
        offer = announced(port, "LHLO" if strategy == "lmtp" else "EHLO")
        empath = self.empath(
            {
                "relay": {"networks": ["127.0.0.0/8"]},
                "delivery": {
                    "dsn": {"postmaster": f"postmaster@{ORIGIN}"},
                    "domains": {
                        DOMAIN: {"strategy": strategy, "mx_override": f"127.0.0.1:{port}", "max_connections": 10},
                        ORIGIN: {"strategy": "maildir", "path": str(self.folder / "returned")},
                    },
                },
            }
        )
        empath.start()
        fates = {local: offer.fate(mail, local) for mail in self._sent(empath) for local in mail.locals}
        began = time.monotonic()
        self._wait(empath, receiver, len(fates))
        took = time.monotonic() - began
        self._judge(receiver, fates)
        told = ", ".join(f"{number} {fate}" for fate, number in sorted(Counter(fates.values()).items()))
        print(f"\n{self.id().rpartition('.')[2]}: {self.count} messages, {offer}; recipients: {told}; ", end="")
        print(f"all over {took:.1f} s after the last was accepted")

    def _sent(self, empath: Empath) -> Iterator[Mail]:
        """
        Send every message, those that are binary, and the one of a single byte, in chunks.
        """
        with smtplib.SMTP("127.0.0.1", empath.port, CLIENT, timeout=120) as client:
            for mail in mixed(self.count, self.largest):
                recipients = [f"{local}@{DOMAIN}" for local in mail.locals]
                if mail.binary or not mail.raw.endswith(b"\r\n"):
                    self._in_a_chunk(empath, mail, recipients)
                else:
                    self.assertEqual(client.sendmail(mail.sender, recipients, mail.raw, mail.parameters), {})
                yield mail

    def _in_a_chunk(self, empath: Empath, mail: Mail, recipients: list[str]) -> None:
        with Dialogue(empath.port, timeout=120) as client:
            client.greet(CLIENT)
            for command in (
                f"MAIL FROM:<{mail.sender}> {' '.join(mail.parameters)}",
                *(f"RCPT TO:<{recipient}>" for recipient in recipients),
            ):
                heard = client.say(command)
                self.assertEqual(heard.code, 250, f"{command}: {heard}")
            client.send(f"BDAT {len(mail.raw)} LAST\r\n".encode() + mail.raw)
            heard = client.reply()
            self.assertEqual(heard.code, 250, f"{mail.kind}: {heard}")

    def _wait(self, empath: Empath, receiver: Receiver, wanted: int) -> None:
        """
        Wait until the queue is empty, and the receiver has written what it took.
        """

        def over() -> bool:
            time.sleep(self.pause)
            return receiver.count() + self._returned().total() >= wanted

        def empty() -> bool:
            time.sleep(self.pause)
            with urllib.request.urlopen(f"http://127.0.0.1:{empath.metrics_port}/metrics") as page:
                numbers = [float(number) for number in _LIVE.findall(page.read().decode())]
            return bool(numbers) and not any(numbers)

        wait_until(f"{wanted} arrived or came back", over, self.seconds)
        wait_until("the queue is empty", empty, self.seconds)

    def _judge(self, receiver: Receiver, fates: dict[str, str]) -> None:
        """
        Compare what arrived, and what came back, with what should have.
        """
        mails = {local: mail.number for mail in mixed(self.count, self.largest) for local in mail.locals}
        arrived: Counter[str] = Counter()
        wrong = []
        for dumped in receiver.kept():
            locals_ = [recipient.removesuffix(f"@{DOMAIN}") for recipient in dumped.recipients]
            arrived.update(locals_)
            mail = made(mails[locals_[0]], self.largest)
            if difference := self._difference(dumped.content, mail, {fates[local] for local in locals_}):
                wrong.append(f"{mail.number} {mail.kind} {locals_[:2]}: {difference}")
        self.assertEqual(wrong, [])
        self.assertEqual(arrived, Counter([local for local, fate in fates.items() if fate in (UNCHANGED, ENCODED)]))
        returned = Counter([(local, fate) for local, fate in fates.items() if fate not in (UNCHANGED, ENCODED)])
        self.assertEqual(self._returned(), returned)

    def _difference(self, content: bytes, mail: Mail, fates: set[str]) -> str:
        if fates == {ENCODED}:
            return mime_difference(content, mail)
        sent = mail.raw.replace(b"\r\n", b"\n")
        if len(sent) == 1:  # no field, so who parses header blocks puts the empty line before it that was missing
            content = content.removeprefix(b"\n")
        return first_difference(content, sent if sent.endswith(b"\n") else sent + b"\n")

    def _returned(self) -> Counter[tuple[str, str]]:
        """
        Count what reports say came back: local part and status.
        """
        found: Counter[tuple[str, str]] = Counter()
        for file in (self.folder / "returned").glob("new/*"):
            text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), file.read_text(errors="replace"))
            for address, status in _FAILED.findall(text):
                found[address.removesuffix(f"@{DOMAIN}"), status] += 1
        return found
