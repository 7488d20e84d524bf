"""
Requirements on our own reports: they are signed like any mail of ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import attrs
import dkim  # type: ignore[import-untyped]  # it has no annotations
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.report.tls_rpt.writing import make_mail, make_report
from empath.sign.signer import Signer
from tests.report.tls_rpt.support import MIDNIGHT, SENDER, SUBMITTER
from tests.sign.keys import dkim_key, ed25519, pem, record, section_of

TO = [Address("a", "one.test", "a@one.test")]


class ReportTests(SynchronousTestCase):
    """
    Reports about TLS.
    """

    def test_reports_about_tls_are_signed_by_the_senders_domain(self) -> None:
        """
        RFC 8460 §3: who gets them refuses others; the record's service type may be tlsrpt. The fields that name the
        report are signed.
        """
        path = Path(self.mktemp()).absolute()
        path.write_bytes(pem(ed25519()))
        signer = Signer(section_of(dkim_key(path, SENDER.domain)), Clock(), lambda call: succeed(cast(Any, call)()))
        made = make_mail(make_report("one.test", MIDNIGHT, [], SUBMITTER), TO, "ID", MIDNIGHT)
        fields = signer.sign(made, cast(Any, None))
        assert isinstance(fields, bytes)
        content = fields + made.header + (made.body or b"")
        published = record(ed25519()).replace(b"k=", b"s=tlsrpt; k=", 1)  # not in the key, which may end with k=
        self.assertTrue(dkim.verify(content, dnsfunc=lambda *_, **__: published, tlsrpt="strict"))
        self.assertIn(b":TLS-Report-Domain:TLS-Report-Submitter;", fields.replace(b"\r\n\t", b""))
        other = attrs.evolve(made, header=made.header.replace(SENDER.domain.encode(), b"else.test"))
        self.assertEqual(signer.sign(other, cast(Any, None)), b"")
