"""
Records that ask for reports about TLS.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.policy.tls_rpt import MOST_ENDPOINTS, Web, endpoints_of

REPORTS = Address("reports", "example.com", "reports@example.com")


def told(*texts: str) -> list[str]:
    """
    Spell the endpoints.
    """
    return [each.text if isinstance(each, Address) else each.url for each in endpoints_of(texts)]


class EndpointTests(SynchronousTestCase):
    def test_of_the_rfc(self) -> None:
        """
        RFC 8460 §3's own examples.
        """
        self.assertEqual(endpoints_of(["v=TLSRPTv1;rua=mailto:reports@example.com"]), (REPORTS,))
        url = "https://reporting.example.com/v1/tlsrpt"
        self.assertEqual(endpoints_of([f"v=TLSRPTv1; rua={url}"]), (Web(url, "reporting.example.com"),))

    def test_several(self) -> None:
        """
        Each once, with blanks and fields that we do not know between them; not too many.
        """
        text = "v=TLSRPTv1 ; x-y.z=a:b ;rua=mailto:a@x.test , https://x.test/?a=b&c,MAILTO:a@x.test,ftp://x.test ; "
        self.assertEqual(told(text), ["a@x.test", "https://x.test/?a=b&c"])
        many = ",".join(f"mailto:a{nth}@x.test" for nth in range(MOST_ENDPOINTS + 5))
        self.assertEqual(len(told(f"v=TLSRPTv1;rua={many}")), MOST_ENDPOINTS)

    def test_just_one_record(self) -> None:
        """
        Records of other kinds do not count, two of this one are none (§3).
        """
        text = "v=TLSRPTv1;rua=mailto:a@x.test"
        self.assertEqual(told("v=spf1 -all", text, "v=TLSRPTv2;rua=mailto:b@x.test"), ["a@x.test"])
        self.assertEqual(told(text, "v=TLSRPTv1;rua=mailto:b@x.test"), [])
        self.assertEqual(told(), [])

    def test_no_record(self) -> None:
        """
        What is not as the grammar says asks for nothing.
        """
        for text in (
            "v=TLSRPTv1",
            "v=TLSRPTv1;",
            "V=TLSRPTv1;rua=mailto:a@x.test",
            " v=TLSRPTv1;rua=mailto:a@x.test",
            "v=TLSRPTv1;rua",
            "v=TLSRPTv1;rua=",
            "v=TLSRPTv1;;rua=mailto:a@x.test",
            "v=TLSRPTv1;rua=mailto:a@x.test\r\n",
            "v=TLSRPTv1;rua=mailto:\u00fc@x.test",
            f"v=TLSRPTv1;{'x' * 33}=y;rua=mailto:a@x.test",
        ):
            self.assertEqual(told(text), [], text)

    def test_mailboxes(self) -> None:
        """
        As URIs write them (RFC 6068); fields for the mail are not ours to fill in.
        """
        for uri, wanted in {
            "mailto:a%2Cb%21@x.test": [],
            'mailto:"a%2Cb"@x.test': ['"a,b"@x.test'],
            "mailto:a%2B1@x.test?subject=hi": ["a+1@x.test"],
            "mailto:": [],
            "mailto:a": [],
            "mailto:a@x.test%0D%0ADATA": [],
            "mailto:%C3%BC@x.test": [],
        }.items():
            self.assertEqual(told(f"v=TLSRPTv1;rua={uri}"), wanted, uri)

    def test_urls(self) -> None:
        """
        HTTPS, with a host name and no login; nothing that a request could be split with.
        """
        for uri, wanted in {
            "HTTPS://X.test:8443/a%20b": [Web("HTTPS://X.test:8443/a%20b", "x.test", 8443)],
            "https://x.test": [Web("https://x.test", "x.test")],
            "https://x.test?y": [Web("https://x.test?y", "x.test")],
            "https://me:secret@x.test/": [],
            "https://x.test/#top": [],
            "https://x.test/a b": [],
            "https://x.test:0/": [],
            "https://x.test:65536/": [],
            "https:///a": [],
            "https://x..test/": [],
            "https://[::1]/": [],
            f"https://x.test/{'a' * 1000}": [],
            "http://x.test/": [],
            "https:x.test": [],
        }.items():
            self.assertEqual(list(endpoints_of([f"v=TLSRPTv1;rua={uri}"])), wanted, uri)
