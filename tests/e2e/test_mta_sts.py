"""
MTA-STS with real servers: what is found of a domain's policy, compared with postfix-mta-sts-resolver on the same hosts.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Final

import attrs
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.datagrams import UdpSockets
from empath.dns.mta_sts.fetching import PolicyFetcher
from empath.dns.mta_sts.policies import StsPolicies
from empath.dns.resolver import Resolver
from empath.dns.streams import tcp_streams
from empath.mail.life import TlsTried
from empath.policy.mta_sts import FETCH_ERROR, INVALID, WEBPKI_INVALID
from empath.testing.kept import KeptStorages
from tests.e2e.dns_lab import DnsLab
from tests.e2e.policy_hosts import EXPIRED, OTHER_NAME, STRANGER, PolicyHosts, Served, policy
from tests.e2e.processes import require_program, temporary_folder

reactor: Any = the_reactor
GOOD: Final = policy("enforce", "mx1.sts.test", "*.mail.test")
RECORD: Final = "v=STSv1; id=1;"
ELSEWHERE: Final = "https://mta-sts.enforce.sts.test/.well-known/mta-sts.txt"
NOTHING: Final = "nothing"  # the domain has no policy, and nothing is wrong
TROUBLE: Final = "trouble"  # there is a record, and no policy for it


@attrs.frozen
class Case:
    """
    One domain: its TXT records, what its policy host says, and what has to come of it. `theirs` is what the other
    implementation makes of it, where that is something else.
    """

    expected: str
    records: tuple[str, ...] = (RECORD,)
    served: Served | str = GOOD
    certificate: str = ""
    result: str = ""
    theirs: str = ""


def valid(mode: str, *mx: str, age: int = 86400) -> str:
    """
    Say what is in a policy.
    """
    return f"{mode} {sorted(mx)} {age}"


CASES: Final[Mapping[str, Case]] = {
    "enforce": Case(valid("enforce", "mx1.sts.test", "*.mail.test")),
    "testing": Case(valid("testing", "mx1.sts.test"), served=policy("testing", "mx1.sts.test")),
    "unmoved": Case(NOTHING, records=()),
    "off": Case(valid("none"), served=policy("none")),
    "crlf": Case(valid("enforce", "mx1.sts.test", "*.mail.test"), served=GOOD.replace("\n", "\r\n")),
    "charset": Case(valid("enforce", "mx1.sts.test", "*.mail.test"),
                    served=Served(GOOD, media_type="text/plain; charset=utf-8")),
    "extended": Case(valid("enforce", "mx1.sts.test", "*.mail.test"), records=("v=STSv1; x=y; id=1",),
                     served=f"{GOOD}hint: none\n"),
    "other-texts": Case(valid("enforce", "mx1.sts.test", "*.mail.test"), records=("v=spf1 -all", RECORD)),
    "two-records": Case(NOTHING, records=(RECORD, "v=STSv1; id=2;")),
    "no-id": Case(NOTHING, records=("v=STSv1;",)),
    "other-version": Case(NOTHING, records=("v=STSv2; id=1;",)),
    "redirect": Case(TROUBLE, served=Served(GOOD, 301, headers=[("Location", ELSEWHERE)]), result=FETCH_ERROR),
    "not-found": Case(TROUBLE, served=Served(GOOD, 404), result=FETCH_ERROR),
    "html": Case(TROUBLE, served=Served(GOOD, media_type="text/html"), result=FETCH_ERROR),
    "large": Case(TROUBLE, served=GOOD + "x: y\n" * 20_000, result=FETCH_ERROR),
    "expired": Case(TROUBLE, certificate=EXPIRED, result=WEBPKI_INVALID),
    "stranger": Case(TROUBLE, certificate=STRANGER, result=WEBPKI_INVALID),
    "misnamed": Case(TROUBLE, certificate=OTHER_NAME, result=WEBPKI_INVALID),
    "no-version": Case(TROUBLE, served=GOOD.replace("version", "v"), result=INVALID),
    "no-mode": Case(TROUBLE, served=policy("sometimes", "mx1.sts.test"), result=INVALID),
    "no-mx": Case(TROUBLE, served=policy("enforce"), result=INVALID),
    "no-age": Case(TROUBLE, served=policy("enforce", "mx1.sts.test", max_age="long"), result=INVALID),
    "too-old": Case(TROUBLE, served=policy("enforce", "mx1.sts.test", max_age="31557601"), result=INVALID),
    # Where the other implementation reads what the RFC does not allow:
    "strange-id": Case(NOTHING, records=("v=STSv1; id=a-b;",), theirs=valid("enforce", "mx1.sts.test", "*.mail.test")),
    "twice": Case(valid("enforce", "mx1.sts.test", "*.mail.test"), served=f"{GOOD}mode: none\n",
                  theirs=valid("none", "mx1.sts.test", "*.mail.test")),
    "strange-mx": Case(TROUBLE, served=policy("enforce", "mx..test"), result=INVALID,
                       theirs=valid("enforce", "mx..test")),
}  # fmt: skip


class AgreementTests(TestCase):
    """
    The same hosts, looked at by both.
    """

    timeout = 120

    def setUp(self) -> None:
        self.query = require_program("mta-sts-query")
        self.folder = temporary_folder(self)
        self.lab = DnsLab(self.folder, standard_port=True)
        self.addCleanup(self.lab.stop)
        self.hosts = PolicyHosts(self.folder)
        self.addCleanup(self.hosts.stop)
        zone = self.lab.zone("sts.test")
        for name, case in CASES.items():
            zone.add(f"mta-sts.{name} A {self.hosts.address}")
            for record in case.records:
                zone.text(f"_mta-sts.{name}", record)
            self.hosts.serve(f"{name}.sts.test", case.served, case.certificate)
        self.lab.serve()
        self.addCleanup(os.environ.update, os.environ.copy())
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(self.hosts.authority_file)
        self.storages = KeptStorages(reactor.seconds)
        self.begin()

    def begin(self) -> None:
        """
        Make what looks, as the service does.
        """
        self.events: list[Any] = []
        section, chance = Dns(servers=(self.lab.server,), timeout=seconds(5)), random.Random(1)
        resolver = Resolver(section, reactor, chance, self.events.append, UdpSockets(reactor), tcp_streams(reactor))
        resolver.start()
        fetcher = PolicyFetcher(reactor, resolver, ("ipv6", "ipv4"), True)
        storage = self.storages.of(".mta-sts")
        self.policies = StsPolicies(resolver, fetcher.fetch, storage, reactor, self.events.append)
        self.addCleanup(resolver.stop)
        self.addCleanup(self.policies.stop)

    async def ours(self, name: str) -> tuple[str, str]:
        """
        Tell what we make of a domain: in a word, and the result that goes into reports.
        """
        domain = f"{name}.sts.test"
        asked = self.policies.policy_of(domain)
        found = await asked if isinstance(asked, Deferred) else asked
        [told] = [each.result for each in self.events if isinstance(each, TlsTried) and each.domain == domain] or [""]
        if found is not None:
            return valid(found.mode.value, *found.mx, age=found.max_age), told
        if told:
            return TROUBLE, told
        return (valid("none") if domain in self.storages.items[".mta-sts"] else NOTHING), told

    def theirs(self) -> dict[str, str]:
        """
        Tell what the other implementation makes of all domains.
        """
        environment = {**os.environ, "SSL_CERT_FILE": str(self.hosts.authority_file)}
        running = {
            name: subprocess.Popen(
                self.lab.within([self.query, "-v", "fatal", f"{name}.sts.test"]),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in CASES
        }
        return {name: _their_word(*process.communicate(timeout=60)) for name, process in running.items()}

    async def test_both_find_the_same(self) -> None:
        """
        But for what the RFC forbids and the other one reads all the same.
        """
        ours = {name: await self.ours(name) for name in CASES}
        self.assertEqual(ours, {name: (case.expected, case.result) for name, case in CASES.items()})
        self.assertEqual(self.theirs(), {name: case.theirs or case.expected for name, case in CASES.items()})
        self.assertNotIn("two-records.sts.test", self.hosts.asked)

    async def test_the_id_says_whether_it_is_fetched_again(self) -> None:
        """
        And a policy that was fetched outlasts its host, its record, and us.
        """
        first = await self.ours("enforce")
        self.assertEqual(await self.ours("enforce"), first)
        self.assertEqual(self.hosts.asked, ["enforce.sts.test"])
        self.policies.stop()
        self.hosts.stop()
        self.lab.pause()
        self.begin()
        self.assertEqual(await self.ours("testing"), (NOTHING, ""))
        await self.policies.restore()
        self.assertEqual(await self.ours("enforce"), first)


def _their_word(output: str, errors: str) -> str:
    """
    Read "(<STSFetchResult.VALID: 1>, ('1', {'mx': […], …}))".
    """
    found = re.search(r"STSFetchResult\.(\w+)", output)
    assert found is not None, f"{output}{errors}"
    if found[1] != "VALID":
        return {"NONE": NOTHING, "FETCH_ERROR": TROUBLE}[found[1]]
    mode = re.search(r"'mode': '(\w+)'", output)
    age = re.search(r"'max_age': (\d+)", output)
    mx = re.search(r"'mx': \[(.*?)\]", output)
    assert mode is not None and age is not None and mx is not None, output
    return valid(mode[1], *re.findall(r"'(.*?)'", mx[1]), age=int(age[1]))
