"""
A report as it goes out: JSON in gzip (RFC 8460 §4.4, §5.2), alone over HTTPS, or in a mail (§5.3).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.header import field
from empath.mail.message import Message
from empath.mail.origin import OWN
from empath.mail.trace import format_date
from empath.mail.wish import noted

DAY: Final = 86400.0
MEDIA_TYPE: Final = "application/tlsrpt+gzip"


@attrs.frozen(slots=True)
class Submitter:
    """
    Who reports: the `organization`, whom to `contact` (a mailbox, as text), and the mailbox that reports come from.
    """

    organization: str
    contact: str
    sender: Address


@attrs.frozen(slots=True, eq=False)
class Report:
    """
    One day of one domain. `began` is the day's beginning in seconds since the epoch (UTC), `content` the JSON in gzip.
    """

    ident: str
    domain: str
    began: float
    submitter: Submitter
    content: bytes

    @property
    def file_name(self) -> str:
        """
        What the report is called (§5.1).
        """
        began = int(self.began)
        return f"{self.submitter.sender.domain}!{self.domain}!{began}!{began + int(DAY) - 1}.json.gz"


def make_report(domain: str, began: float, policies: Sequence[Any], submitter: Submitter) -> Report:
    """
    Make the report of a day. Its id is the same each time it is made, so that nobody counts it twice.
    """
    ident = f"{int(began)}.{domain}@{submitter.sender.domain}"
    whole = {
        "organization-name": submitter.organization,
        "date-range": {"start-datetime": _written(began), "end-datetime": _written(began + DAY - 1)},
        "contact-info": submitter.contact,
        "report-id": ident,
        "policies": policies,
    }
    return Report(ident, domain, began, submitter, gzip.compress(json.dumps(whole).encode(), mtime=0))


def make_mail(report: Report, to: Sequence[Address], queue_id: str, now: float) -> Message:
    """
    Make the message that carries a report, an ordinary one: whether it can be delivered over TLS does not matter
    (RFC 8460 §3), so it says that to itself and all on its way (RFC 8689 §3).
    """
    sender = report.submitter.sender
    boundary = f"=_{queue_id}"
    encoded = base64.encodebytes(report.content).replace(b"\n", b"\r\n")
    header = _header(report, to, now, boundary, f"<{queue_id}@{sender.domain}>")
    body = b"\r\n".join([b"", _text_part(report, boundary), _file_part(report, boundary) + encoded]) + (
        f"--{boundary}--\r\n".encode()
    )
    envelope = Envelope(sender, tuple([Recipient(address) for address in to]), noted({}, header))
    size = len(header) + len(body)
    return Message(queue_id, now, envelope, header, body, None, size, eight_bit=False, origin=OWN)


def _header(report: Report, to: Sequence[Address], now: float, boundary: str, message_id: str) -> bytes:
    sender = report.submitter.sender
    subject = f"Report Domain: {report.domain} Submitter: {sender.domain} Report-ID: <{report.ident}>"
    fields = {
        "From": f"<{sender.text}>",
        "To": ", ".join(f"<{address.text}>" for address in to),
        "Subject": subject,
        "Date": format_date(now),
        "Message-ID": message_id,
        "TLS-Report-Domain": report.domain,
        "TLS-Report-Submitter": sender.domain,
        "TLS-Required": "No",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
    }
    return b"".join([field(name, value) for name, value in fields.items()])


def _text_part(report: Report, boundary: str) -> bytes:
    day = _written(report.began)[:10]
    lines = (
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is an aggregate report about TLS (RFC 8460) from {report.submitter.sender.domain}",
        f"about mail for {report.domain} on {day} (UTC).",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def _file_part(report: Report, boundary: str) -> bytes:
    lines = (
        f"--{boundary}",
        f"Content-Type: {MEDIA_TYPE}",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.file_name}"',
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def _written(seconds: float) -> str:
    """
    Write a time as RFC 3339 does.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
