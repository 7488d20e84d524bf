"""
Fixtures for pytest, there as soon as empath is installed: `empath_mta`, `empath_services`, `mock_smtp_server`.

What a test made is stopped when the test is over; a stop that leaves anything behind, and an error in the log that the
test did not take out of `faults`, fails the test. A test that fails shows what its MTAs did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:  # loaded with every run of pytest: the kit itself is imported by those who use it
    from empath.testing.mock_smtp import MockSmtpServer
    from empath.testing.mta import Mta
    from empath.testing.services import FakeServices

MADE: Final = "_empath_made"


@pytest.fixture
def empath_mta(request: pytest.FixtureRequest) -> Iterator[Callable[..., Mta]]:
    """
    Make MTAs in memory: `mta = empath_mta(modules=[…], domains=[…])`, with the arguments of `empath.testing.Mta`.
    """
    from empath.testing.mta import Mta

    made: list[Mta] = []
    setattr(request.node, MADE, made)

    def make(*args: Any, **kw: Any) -> Mta:
        made.append(Mta(*args, **kw))
        return made[-1]

    yield make
    for mta in made:
        mta.stop()
    faults = [fault.getTraceback() for mta in made for fault in mta.faults]
    if faults:
        pytest.fail("errors were logged, and not taken out of `faults`:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture
def empath_services() -> Iterator[Callable[..., FakeServices]]:
    """
    Make what a module is given when it starts: `services = empath_services(domains=[…])`, see
    `empath.testing.FakeServices`.
    """
    from empath.testing.services import FakeServices

    made: list[FakeServices] = []

    def make(*args: Any, **kw: Any) -> FakeServices:
        made.append(FakeServices(*args, **kw))
        return made[-1]

    yield make
    for services in made:
        services.close()


@pytest.fixture
def mock_smtp_server() -> MockSmtpServer:
    """
    Give the builder of a scripted SMTP server, see `empath.testing.MockSmtpServer`.
    """
    from empath.testing.mock_smtp import MockSmtpServer

    return MockSmtpServer()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """
    Show with a test that failed what its MTAs did.
    """
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for mta in (*getattr(item, MADE, ()), *getattr(getattr(item, "instance", None), MADE, ())):
            report.sections.append((f"empath: {mta.config.hostname}", mta.story()))
