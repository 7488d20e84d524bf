"""
Makes dialogues for `server_dialogue` quickly: composed of an opening and transactions that make sense, of what was
found to be new before, and of damage to both.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from fuzz.tokens import DIALOGUE, HANDSHAKE, SMTP

LONGEST: Final = 900  # octets of an input
HELLOS: Final = (*[b"EHLO c.example\r\n"] * 12, b"EHLO [192.0.2.1]\r\n", b"HELO c\r\n", b"ehlo c\r\n", b"ehlo \r\n")
LHLO: Final = (*[b"LHLO c.example\r\n"] * 6, b"lhlo c\r\n", b"EHLO c.example\r\n")
TLS: Final = (b"STARTTLS\r\n" + HANDSHAKE, b"starttls\r\n" + HANDSHAKE, b"STARTTLS\r\n", b"STARTTLS x\r\n" + HANDSHAKE)
AUTHS: Final = (
    b"AUTH PLAIN AHRlc3RlcgBzZWNyZXQ3\r\n",
    b"AUTH PLAIN\r\nAHRlc3RlcgBzZWNyZXQ3\r\n",
    b"auth plain dGVzdGVyAHRlc3RlcgBzZWNyZXQ3\r\n",
    b"AUTH LOGIN dGVzdGVy\r\nc2VjcmV0Nw==\r\n",
    b"AUTH LOGIN\r\ndGVzdGVy\r\nc2VjcmV0Nw==\r\n",
    b"AUTH PLAIN AHRlc3RlcgBzZWNyZXQ4\r\n",
    b"AUTH LOGIN\r\ndGVzdGVy\r\nc2VjcmV0\r\n",
    b"AUTH PLAIN =\r\n",
    b"AUTH PLAIN\r\n*\r\n",
    b"AUTH PLAIN AHRlc3RlcgBzZWNyZXQ3",
    b"AUTH LOGIN\r\ndGVzdGVy\r\n",
    b"AUTH PLAIN\r\n",
)
XCLIENTS: Final = (
    b"XCLIENT ADDR=10.1.2.3\r\n",
    b"XCLIENT LOGIN=tester\r\n",
    b"XCLIENT NAME=a.example ADDR=192.0.2.7 LOGIN=[UNAVAILABLE]\r\n",
    b"XCLIENT HELO=forbidden LOGIN=x\r\n",
    b"xclient addr=IPv6:2001:db8::1 PROTO=ESMTP\r\n",
    b"XCLIENT ADDR=[UNAVAILABLE]\r\n",
    b"XCLIENT LOGIN=\r\n",
)
MAILS: Final = (
    *[b"MAIL FROM:<a@b.example>\r\n"] * 8,
    b"MAIL FROM:<>\r\n",
    b"mail from:<a@b.example> size=100 body=8bitmime\r\n",
    b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<\xc3\xbc@b.example> SMTPUTF8\r\n",
    b"MAIL FROM:<a@b.example> RET=HDRS ENVID=a+2Bb\r\n",
    b"MAIL FROM:<a@b.example> HOLDFOR=60\r\n",
    b"MAIL FROM:<a@b.example> HOLDUNTIL=2026-12-30T00:00:00Z\r\n",
    b"MAIL FROM:<a@b.example> BY=120;R MT-PRIORITY=-3 AUTH=<>\r\n",
    b"MAIL FROM:<a@b.example> REQUIRETLS\r\n",
    b'MAIL FROM:<@r.example:"a b"@[192.0.2.1]>\r\n',
    b"MAIL FROM:<forbidden@b.example>\r\n",
    b"MAIL FROM: <a@b.example>\r\n",
)
OURS: Final = (
    *[b"RCPT TO:<c@d.example>\r\n"] * 6,
    b"RCPT TO:<c@example.org>\r\n",
    b"rcpt to:<c@d.example> notify=success,delay orcpt=rfc822;c@d\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"RCPT TO:<\xc3\xbc@d.example>\r\n",
    b"RCPT TO:<c@d.example> ORCPT=utf-8;\\x{FC}+2B@d\r\n",
    b'RCPT TO:<"c \\" d"@d.example>\r\n',
    b"RCPT TO:<greedy@d.example>\r\n",
    b"RCPT TO:<busy@d.example>\r\n",
)
OTHERS: Final = (
    *[b"RCPT TO:<c@elsewhere.example>\r\n"] * 4,
    b"RCPT TO:<c@d.example.elsewhere.example>\r\n",
    b"RCPT TO:<@d.example:c@elsewhere.example>\r\n",
    b"RCPT TO:<@elsewhere.example:c@d.example>\r\n",
    b"RCPT TO:<c%elsewhere.example@d.example>\r\n",
    b"RCPT TO:<elsewhere.example!c@d.example>\r\n",
    b'RCPT TO:<"c@elsewhere.example"@d.example>\r\n',
    b"RCPT TO:<c@[192.0.2.1]>\r\n",
    b"RCPT TO:<\xc3\xbc@els\xc3\xa9where.example>\r\n",
)
CONTENTS: Final = (
    *[b"A: b\r\n\r\nbody\r\n"] * 4,
    b"Received: by x\r\nA: b\r\n\r\n..dot\r\n",
    b"",
    b"body\r\n",
    b"A: \xff\r\n\r\n\x00\r\n",
    b"A: b\r\n c\r\n\r\nspam\r\n",
    b"A: b\r\n\r\nbare\nnewline\r\n",
    b"A: b\r\n\r\nbare\rreturn\r\n",
    b"A: b\r\n\r\nx\n.\nMAIL FROM:<x@b.example>\r\n",
    b"A: b\r\n\r\nx\r\n.\rRCPT TO:<c@elsewhere.example>\r\n",
    b"A: b\r\n\r\nno line end",
    b"x" * 200 + b"\r\n",
    b"\r\n.\r\n",
    b"RSET\r\n",
)
JUNK: Final = (
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"VRFY c\r\n",
    b"HELP\r\n",
    b"\r\n",
    b"GET / HTTP/1.1\r\n",
    b"DATA\r\n",
)
ENDS: Final = (b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b"\n.\n", b"\r\n.", b"\r\r\n", b"")
EDGES: Final = b'\x00\t\n\r .:;<>@"\\-/=%+*0\x7f\x80\xff'
LMTP_LISTENER: Final = 4
PROXIES: Final = (1, 7)
WORDS: Final = (*(word for word in SMTP if len(word) < 300), *DIALOGUE, HANDSHAKE, *JUNK, *AUTHS, *XCLIENTS, *OTHERS)
_BINARY: Final = b"BINARYMIME\r\n"
_ALL: Final = (*SMTP, *DIALOGUE)


class Dialogues:
    """
    An endless supply of dialogues, the same for the same `chance` and the same `known`; whoever finds one to do
    something new adds it to `known`.

    `chance.random` is all that it draws with: the other ways to draw take longer than half a dialogue.
    """

    def __init__(self, chance: random.Random, known: Sequence[bytes]) -> None:
        self._random = chance.random
        self.known = list(known)

    def next(self) -> bytes:
        """
        Make one input.
        """
        drawn = self._random
        kind = drawn()
        if kind < 0.5 or not self.known:
            data = self.compose()
            if kind < 0.25:
                return data[:LONGEST]
        else:
            data = bytes((int(drawn() * 16), int(drawn() * 256))) + self._any(self.known)[2:]
        data = self.damage(data)
        while drawn() < 0.3:
            data = self.damage(data)
        return data[:LONGEST]

    def compose(self) -> bytes:
        """
        Put a dialogue together that mostly makes sense.
        """
        drawn, pick = self._random, self._any
        listener = int(drawn() * 16)
        own = listener & 7
        hellos = LHLO if own == LMTP_LISTENER else HELLOS
        parts = [bytes((listener, int(drawn() * 256)))]
        if own in PROXIES and drawn() < 0.6:
            parts.append(pick(XCLIENTS))
        parts.append(pick(hellos))
        if drawn() < 0.25:
            parts += (pick(TLS), pick(hellos))
        if drawn() < 0.4:
            parts.append(pick(AUTHS))
        while True:
            self._transact(parts)
            chosen = drawn()
            if chosen > 0.35:
                return b"".join(parts)
            if chosen < 0.12:
                parts.append(pick((pick(TLS), pick(hellos), pick(AUTHS), pick(XCLIENTS), pick(JUNK))))

    def _transact(self, parts: list[bytes]) -> None:
        drawn, pick = self._random, self._any
        if drawn() < 0.1:
            parts.append(pick(JUNK))
        mail = pick(MAILS)
        parts += (mail, pick(OTHERS if drawn() < 0.3 else OURS))
        while drawn() < 0.35:
            parts.append(pick(OTHERS if drawn() < 0.4 else OURS))
        content = pick(CONTENTS)
        if drawn() < 0.5 and not mail.endswith(_BINARY):
            parts += (b"DATA\r\n", content, b".\r\n")
            return
        while drawn() < 0.3:
            parts.append(b"BDAT %d\r\n%s" % (len(content), content))
            content = pick(CONTENTS)
        parts.append(b"BDAT %d LAST\r\n%s" % (len(content), content))

    def damage(self, data: bytes) -> bytes:
        """
        Change one thing: an octet, a word, a line, a line end, or how it goes on.
        """
        drawn = self._random
        at = 2 + int(drawn() * (len(data) - 1))
        kind = int(drawn() * 11)
        match kind:
            case 0:
                return data[:at] + bytes((int(drawn() * 256),)) + data[at + 1 :]
            case 1:
                return data[:at] + EDGES[(edge := int(drawn() * len(EDGES))) : edge + 1] + data[at + 1 :]
            case 2:
                return data[:at] + self._any(WORDS) + data[at:]
            case 3:
                return data[:at] + self._any(WORDS) + data[at + int(drawn() * 16) :]
            case 4:
                return data[:at] + data[at + int(drawn() * 32) :]
            case 5:
                return data[:at] + data[at : at + 8] * int(2 + drawn() * 3) + data[at + 8 :]
            case 6:
                return data[:at] if drawn() < 0.3 else data[:at] + self._any(_ALL) + data[at:]
        line = data.find(b"\r\n", at)
        if line < 0:
            line = at
        match kind:
            case 7:
                return data[:line] + self._any(ENDS) + data[line + 2 :]
            case 8:
                return data[: line + 2] + self._any(WORDS) + data[line + 2 :]
            case 9:
                other = self._any(self.known) if self.known else data
                start = other.find(b"\r\n", 2 + int(drawn() * len(other)))
                return data[: line + 2] + other[start + 2 if start > 0 else 2 :]
            case _:
                following = data.find(b"\r\n", line + 2)
                return data[: line + 2] + data[following + 2 :] if following > 0 else data[: line + 2]

    def _any(self, words: Sequence[bytes]) -> bytes:
        return words[int(self._random() * len(words))]
