"""
Mixins for trial's test cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from empath.testing.mta import Mta
from empath.testing.services import FakeServices

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase

    _Case = SynchronousTestCase
else:
    _Case = object


class MtaMixin(_Case):
    """
    Makes MTAs in memory, and stops them when the test is over: a stop that leaves anything behind fails the test.

    Errors in the log are trial's business: `flushLoggedErrors` takes those that a test expects.
    """

    def mta(self, *args: Any, **kw: Any) -> Mta:
        """
        Make an MTA, with the arguments of `Mta`.
        """
        made = Mta(*args, **kw)
        self.addCleanup(made.stop)
        return made

    def services(self, *args: Any, **kw: Any) -> FakeServices:
        """
        Make what a module is given, with the arguments of `FakeServices`; stopped with the test.
        """
        made = FakeServices(*args, **kw)
        self.addCleanup(made.close)
        return made

    addCleanup: Callable[..., None]  # noqa: N815 trial's
