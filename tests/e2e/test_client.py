"""
The SMTP agent over real sockets: smtp-sink, TLS, content from a file.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

import trustme
from OpenSSL import SSL, crypto
from twisted.internet import reactor as real_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.routing import Routing
from empath.deliver.smtp import SmtpAgent
from empath.mail.attempt import Attempt
from empath.mail.outcome import Outcome
from tests.deliver.world import CONTENT, Reader, Resolver, message, one_delivery, spell
from tests.e2e.debian_peers import SmtpSink
from tests.e2e.ports import free_port
from tests.e2e.processes import temporary_folder
from tests.e2e.tls_server import Behaviour, TlsSmtpFactory

reactor: Any = real_reactor


class ClientCase(TestCase):
    """
    Agents and servers that are gone when a test is over.
    """

    timeout = 30

    def agent(self, port: int, reader: Reader | None = None, trust: Any = None, **domain: Any) -> SmtpAgent:
        """
        Make an agent that takes all mail to localhost.
        """
        section = Section(
            domains={"*": Domain(mx_override=(f"localhost:{port}",), **domain)}, address_families=("ipv4",)
        )
        made = SmtpAgent(
            reactor,
            Resolver({}),
            lambda _: reader or Reader([]),
            random.Random(1),
            section,
            "client.test",
            Routing(section).find,
            trust_root=trust,
        )
        self.addCleanup(made.stop)
        return made

    async def deliver(self, agent: SmtpAgent, **changes: Any) -> tuple[tuple[Outcome, ...], Attempt]:
        """
        Make one delivery.
        """
        carried = message(**changes)
        attempt = Attempt(1, reactor.seconds())
        return await agent.deliver(carried, one_delivery(carried), attempt), attempt


class SinkTests(ClientCase):
    """
    A server we did not write.
    """

    async def test_many_messages_share_connections(self) -> None:
        """
        Three hundred messages, twenty at a time, are all accepted, over no more connections than allowed.
        """
        port = free_port()
        sink = SmtpSink("127.0.0.1", port, temporary_folder(self))
        sink.start()
        self.addCleanup(sink.stop)
        agent = self.agent(port, tls_policy="disabled")
        told: list[str] = []

        async def some() -> None:
            for _ in range(15):
                outcomes, _attempt = await self.deliver(agent)
                told.extend(spell(outcomes))

        for running in [Deferred.fromCoroutine(some()) for _ in range(20)]:
            await running
        self.assertEqual({text.split()[0] for text in told}, {"Success"})
        self.assertEqual(len(told), 300)
        self.assertLessEqual(sum(number for _, number in agent.connections()), 20)


class TlsTests(ClientCase):
    """
    Real handshakes.
    """

    def setUp(self) -> None:
        self.authority = trustme.CA()

    def listen(self, name: str = "localhost", **behaviour: Any) -> tuple[int, Behaviour]:
        """
        Listen with a certificate for a name; tells the port.
        """
        certificate = self.authority.issue_cert(name)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        certificate.configure_cert(context)
        serving = Behaviour(context=_Contexts(context), **behaviour)
        context.set_tlsext_servername_callback(
            lambda connection: serving.names.append(connection.get_servername() or b"")
        )
        factory = TlsSmtpFactory(serving)
        if serving.implicit:
            port = reactor.listenSSL(0, factory, serving.context, interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port, serving

    def trusted(self) -> Any:
        """
        Trust the authority of this test, and no other.
        """
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, self.authority.cert_pem.bytes())
        return ssl.trustRootFromCertificates([ssl.Certificate(certificate)])

    async def test_starttls(self) -> None:
        """
        Any certificate will do for opportunistic and required TLS; the server is told its name (SNI).
        """
        for policy in ("opportunistic", "required"):
            port, serving = self.listen("other.test")
            outcomes, attempt = await self.deliver(self.agent(port, tls_policy=policy))
            self.assertEqual(spell(outcomes), ["Success 250 2.0.0 localhost"])
            self.assertEqual((serving.contents, serving.secure, serving.names), ([CONTENT], [True], [b"localhost"]))
            self.assertEqual(attempt.tls, "TLSv1.3")
            self.assertTrue(attempt.cipher)
            self.assertGreater(attempt.secured, 0)

    async def test_verified(self) -> None:
        """
        A certificate that the authority gave for the host's name is good.
        """
        port, serving = self.listen()
        outcomes, _ = await self.deliver(self.agent(port, trust=self.trusted(), tls_policy="verified"))
        self.assertEqual((spell(outcomes), serving.secure), (["Success 250 2.0.0 localhost"], [True]))

    async def test_not_verified(self) -> None:
        """
        Another name, or another authority, is an unmet policy: nothing is sent.
        """
        port, serving = self.listen("other.test")
        outcomes, _ = await self.deliver(self.agent(port, trust=self.trusted(), tls_policy="verified"))
        self.assertEqual((spell(outcomes), serving.contents), (["TransientFailure 454 4.7.5"], []))
        self.assertIn("the certificate is not for this host", str(outcomes[0].reply))
        trusted = self.trusted()
        self.authority = trustme.CA()
        port, serving = self.listen()
        outcomes, _ = await self.deliver(self.agent(port, trust=trusted, tls_policy="verified"))
        self.assertEqual((spell(outcomes), serving.contents), (["TransientFailure 454 4.7.5"], []))
        self.assertIn("the certificate's issuer is not known", str(outcomes[0].reply))

    async def test_failed_handshake(self) -> None:
        """
        A handshake that fails is followed by cleartext when TLS is opportunistic, by nothing when it is required.
        """
        port, serving = self.listen(shake=False)
        outcomes, _ = await self.deliver(self.agent(port, tls_policy="required"))
        self.assertEqual((spell(outcomes), serving.contents), (["TransientFailure 454 4.7.5"], []))
        outcomes, attempt = await self.deliver(self.agent(port))
        self.assertEqual((spell(outcomes), serving.secure), (["Success 250 2.0.0 localhost"], [False]))
        self.assertEqual(attempt.tls, "")

    async def test_injected_cleartext(self) -> None:
        """
        Replies smuggled in before the handshake end the connection.
        """
        port, serving = self.listen(after_go=b"250 evil\r\n")
        outcomes, _ = await self.deliver(self.agent(port, tls_policy="required"))
        self.assertEqual((spell(outcomes), serving.contents), (["TransientFailure 421 4.5.0"], []))

    async def test_implicit(self) -> None:
        """
        Implicit TLS, and its failure against a server that speaks first in cleartext.
        """
        port, serving = self.listen(implicit=True)
        outcomes, attempt = await self.deliver(self.agent(port, tls="implicit", tls_policy="required"))
        self.assertEqual((spell(outcomes), serving.secure), (["Success 250 2.0.0 localhost"], [True]))
        self.assertEqual(attempt.tls, "TLSv1.3")
        port, serving = self.listen()
        outcomes, _ = await self.deliver(self.agent(port, tls="implicit"))
        self.assertEqual((spell(outcomes), serving.contents), (["TransientFailure 454 4.7.5"], []))

    async def test_large_content(self) -> None:
        """
        Eight megabytes from a file arrive whole, in cleartext and over TLS.
        """
        line = b"." + b"x" * 997 + b"\r\n"
        body = b"\r\n" + line * 8000
        for policy in ("disabled", "required"):
            port, serving = self.listen()
            pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)]
            agent = self.agent(port, Reader(pieces), tls_policy=policy)
            outcomes, _ = await self.deliver(agent, body=None, size=len(b"Subject: x\r\n") + len(body))
            self.assertEqual(spell(outcomes), ["Success 250 2.0.0 localhost"])
            arrived = hashlib.sha256(serving.contents[0]).hexdigest()
            self.assertEqual(arrived, hashlib.sha256(b"Subject: x\r\n" + body).hexdigest())
            self.assertEqual(serving.secure, [policy == "required"])


@implementer(IOpenSSLContextFactory)
class _Contexts:
    """
    Gives Twisted one context.
    """

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        """
        Give it.
        """
        return self._context
