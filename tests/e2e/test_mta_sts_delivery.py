"""
MTA-STS as senders and their operator see it: which mail is delivered, over what, and which waits (RFC 8461 §5).
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any, Final

import trustme

from tests.e2e.dns_lab import DnsLab
from tests.e2e.harness import HOSTS, EndToEndTestCase
from tests.e2e.policy_hosts import EXPIRED, PORT, PolicyHosts, free_loopback, policy
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options, Stored

MX: Final = HOSTS[0]


class MtaStsTestCase(EndToEndTestCase):
    """
    One MX host, mx1 below each domain, with a certificate that is for some of them.
    """

    def setUp(self) -> None:
        super().setUp()
        self.lab = DnsLab(self.folder)
        self.addCleanup(self.lab.stop)
        self.hosts = PolicyHosts(self.folder)
        self.addCleanup(self.hosts.stop)
        self.zone = self.lab.zone("sts.test")

    def publish(self, name: str, text: str, certificate: str = "", ident: str = "1") -> str:
        """
        Publish a domain with a policy; gives the domain.
        """
        self.zone.mail(MX, owner=name).mta_sts(ident, name, self.hosts.address)
        self.hosts.serve(f"{name}.sts.test", text, certificate)
        return f"{name}.sts.test"

    def host(self, *certified: str, starttls: bool = True) -> StoringSmtpServer:
        """
        Start the MX host, with a certificate for these names that the program believes.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued: trustme.LeafCert = self.hosts.authority.issue_cert(*certified or ("elsewhere.test",))
        issued.configure_cert(context)
        return self.peer(MX, Options(context=context if starttls else None))

    def begin(self, settings: Settings | None = None) -> Empath:
        """
        Serve the DNS, and start empath.
        """
        self.lab.serve()
        usual: dict[str, Any] = {"delivery": {"port": self.peer_port, "dns": {"servers": [self.lab.server]}}}
        environment = {"SSL_CERT_FILE": str(self.hosts.authority_file)}
        empath = self.empath(merged(usual, settings or {}), environment=environment)
        empath.start()
        return empath

    def arrives(self, empath: Empath, peer: StoringSmtpServer, domain: str) -> Stored:
        """
        Send a message, which arrives.
        """
        recipient = f"you@{domain}"
        before = len(peer.arrived(recipient))
        queue_id = self.send(empath, [recipient])
        wait_until(f"arrived: {recipient}", lambda: len(peer.arrived(recipient)) > before)
        empath.wait_logged(queue_id, "status=sent")
        return peer.arrived(recipient)[-1]

    def waits(self, empath: Empath, domain: str, code: str) -> str:
        """
        Send a message, which is put off with a status code.
        """
        queue_id = self.send(empath, [f"you@{domain}"])
        empath.wait_logged(queue_id, "status=deferred", code)
        return queue_id


class DeliveryTests(MtaStsTestCase):
    """
    Requirements on MTA-STS in delivery.
    """

    def test_enforce(self) -> None:
        """
        Mail goes over certified TLS to the hosts that the policy names, and else it waits.
        """
        good = self.publish("good", policy("enforce", "mx1.good.sts.test"))
        wide = self.publish("wide", policy("enforce", "*.wide.sts.test"))
        elsewhere = self.publish("elsewhere", policy("enforce", "mx1.other.test"))
        uncertified = self.publish("uncertified", policy("enforce", "mx1.uncertified.sts.test"))
        peer = self.host("mx1.good.sts.test", "mx1.wide.sts.test", "mx1.elsewhere.sts.test")
        empath = self.begin()
        self.assertTrue(self.arrives(empath, peer, good).tls)
        self.assertTrue(self.arrives(empath, peer, wide).tls)
        self.waits(empath, elsewhere, "4.7")
        self.waits(empath, uncertified, "4.7")
        self.assertEqual((peer.arrived(f"you@{elsewhere}"), peer.arrived(f"you@{uncertified}")), ([], []))

    def test_enforce_without_starttls(self) -> None:
        """
        Never in cleartext, whatever the operator takes for good enough.
        """
        domain = self.publish("enforce", policy("enforce", "mx1.enforce.sts.test"))
        peer = self.host(starttls=False)
        empath = self.begin({"delivery": {"accept_invalid_certs": True}})
        self.waits(empath, domain, "4.7")
        self.assertEqual(peer.arrived(f"you@{domain}"), [])

    def test_testing_and_none(self) -> None:
        """
        Mail goes as without a policy: over TLS with any certificate, or without.
        """
        testing = self.publish("testing", policy("testing", "mx1.other.test"))
        none = self.publish("none", policy("none"))
        peer = self.host()
        empath = self.begin()
        self.assertTrue(self.arrives(empath, peer, testing).tls)
        self.assertTrue(self.arrives(empath, peer, none).tls)

    def test_a_policy_that_cannot_be_fetched_is_none(self) -> None:
        """
        Mail goes, and the operator is told why there was no policy.
        """
        domain = self.publish("expired", policy("enforce", "mx1.other.test"), EXPIRED)
        peer = self.host()
        empath = self.begin()
        self.arrives(empath, peer, domain)
        empath.wait_logged(domain, "MTA-STS", "expired")

    def test_policy_hosts_that_hang(self) -> None:
        """
        More of them than there are places in delivery hold up other mail for ten seconds, not for a minute; their own
        mail goes, too.
        """
        silent = socket.create_server((free_loopback(), PORT), backlog=100)
        self.addCleanup(silent.close)
        domains = [f"hang{number}.sts.test" for number in range(20)]
        for domain in domains:
            owner = domain.removesuffix(".sts.test")
            self.zone.mail(MX, owner=owner).mta_sts("1", owner, silent.getsockname()[0])
        good = self.publish("good", policy("enforce", "mx1.good.sts.test"))
        peer = self.host("mx1.good.sts.test")
        empath = self.begin({"delivery": {"max_parallel_deliveries": 10}})
        began = time.monotonic()
        for domain in domains[:10]:
            self.send(empath, [f"you@{domain}"])
        self.arrives(empath, peer, good)
        self.assertLess(time.monotonic() - began, 25)
        for domain in domains[10:]:
            self.send(empath, [f"you@{domain}"])
        for domain in domains:
            self.wait_arrived(peer, f"you@{domain}", 40)

    def test_switched_off(self) -> None:
        """
        Nobody asks.
        """
        domain = self.publish("enforce", policy("enforce", "mx1.other.test"))
        peer = self.host()
        empath = self.begin({"delivery": {"tls": {"mta_sts": False}}})
        self.arrives(empath, peer, domain)
        self.assertEqual(self.hosts.asked, [])

    def test_a_restart_forgets_no_policy(self) -> None:
        """
        Not even where record and policy host are gone, as an attacker would have it.
        """
        domain = self.publish("enforce", policy("enforce", "mx1.enforce.sts.test"))
        peer = self.host("mx1.enforce.sts.test")
        empath = self.begin()
        self.arrives(empath, peer, domain)
        self.assertEqual(empath.stop(), 0)
        self.hosts.stop()
        peer.stop()
        self.zone.clear().mail(MX, owner="enforce")
        self.lab.serve()
        other = self.host()
        empath.start()
        self.waits(empath, domain, "4.7")
        self.assertEqual(other.arrived(f"you@{domain}"), [])

    def test_a_new_policy_takes_the_place_of_the_old(self) -> None:
        """
        What waits for the old one goes by the new one.
        """
        domain = self.publish("change", policy("enforce", "mx1.other.test"))
        peer = self.host("mx1.change.sts.test")
        empath = self.begin()
        queue_id = self.waits(empath, domain, "4.7")
        self.zone.clear()
        self.publish("change", policy("enforce", "mx1.change.sts.test"), ident="2")
        self.lab.serve()
        wait_until("it went", lambda: bool(peer.arrived(f"you@{domain}")))
        empath.wait_logged(queue_id, "status=sent")
