"""
What comes back: whatever a mail says is a report or none, within bounds; whatever stands in an address, only what we
made leads anywhere, and what we make of any address leads back to it.
"""

from __future__ import annotations

from typing import Final

from empath.mail.address import MAX_LOCAL, Address, parse_address
from empath.mail.incoming_report import Bounce, Complaint, read_report
from empath.policy.incoming import Reading, read_place
from empath.policy.seal import Seals
from empath.policy.srs import Kept, Srs
from empath.policy.verp import Verp

NOW: Final = 1_795_000_000.0
HOSTNAME: Final = "mx.example.net"
SRS: Final = Srs("srs.example.net", Seals(("secret",)))
VERP: Final = Verp(frozenset({"example.net"}), Seals(("secret",)))
SENDER: Final = parse_address("alice@example.net")
TOKENS: Final = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
    b"Content-Type: message/delivery-status\r\n",
    b"Content-Type: message/feedback-report\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"\r\n--b\r\n",
    b"--b--",
    b"\r\n\r\n",
    b"Action: failed\r\n",
    b"Status: 5.1.1\r\n",
    b"Diagnostic-Code: smtp; 550 5.1.1 no\r\n",
    b"Final-Recipient: rfc822; bob@example.org\r\n",
    b"Original-Recipient: utf-8; \\x{FC}@example.org\r\n",
    b"Feedback-Type: abuse\r\nVersion: 1\r\n",
    b"Original-Rcpt-To: <bob@example.org>\r\n",
    b"Return-Path: <alice+bob=example.org=AAAAAAAAAA@example.net>\r\n",
    b"Received: from x by mx.example.net id 01J0000000000000000000000A\r\n",
    b"X-Failed-Recipients: bob@example.org\r\n",
    b"From: MAILER-DAEMON@example.org\r\n",
    b"Hi. This is the qmail-send program",
    b"(#5.1.1)",
    b"554 no",
    b"SRS0=",
    b"SRS1=",
    b"SRSK=",
    b"=AAAAAAAAAA",
    b"+=",
    b"@example.org",
    b"@srs.example.net",
    b"@example.net",
    "ü".encode(),
)


def one_input(data: bytes) -> None:
    """
    Read one input as a message, and as an address.
    """
    header, _, body = data.partition(b"\r\n\r\n")
    report = read_report(header + b"\r\n", b"\r\n" + body, HOSTNAME)
    assert report is None or isinstance(report, Bounce | Complaint)
    if isinstance(report, Bounce):
        assert report.told and all(len(str(each.reply)) < 600 for each in report.told)
        assert all(each.status[0] in "245" for each in report.told)
    if isinstance(report, Complaint):
        assert report.kind and len(report.kind) <= 50 and len(report.paths) <= 2 and len(report.recipients) <= 10
    try:
        address = parse_address(data.decode("utf-8", "replace"), utf8=True)
    except ValueError:
        return
    judge(address)


def judge(address: Address) -> None:
    """
    Hold what is made of an address, and what it is taken for, against what is promised.
    """
    assert SRS.back(address, NOW) is None and VERP.read(address, NOW) is None, "nobody made this one"
    assert read_place(Reading(address).address) == Reading(address)
    made = SRS.forward(address, NOW)
    if made is None:
        token, made = SRS.keep(address, NOW)
        assert SRS.back(made, NOW) == Kept(token)
    else:
        back = SRS.back(made, NOW)
        assert isinstance(back, Address)
        again = address.local[:4].upper() in ("SRS0", "SRS1")
        assert again or (back.local, back.domain) == (address.local, address.domain), back
    assert len(made.local) <= MAX_LOCAL and parse_address(made.text) == made
    named = VERP.name(SENDER, address, NOW)
    if named is not None:
        about = VERP.read(parse_address(named.text), NOW)
        assert about is not None and about.sender == SENDER
        assert isinstance(about.recipient, Address)
        assert (about.recipient.local, about.recipient.domain) == (address.local, address.domain)
