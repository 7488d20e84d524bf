"""
Mixins for trial's test cases.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.trial.itrial import IReporter
from zope.interface import directlyProvides, providedBy

from empath.testing.mta import Mta
from empath.testing.services import FakeServices

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase

    _Case = SynchronousTestCase
else:
    _Case = object


MADE: Final = "_empath_made"
"""
Where a test keeps what it made, for who shows it when it fails.
"""


class MtaMixin(_Case):
    """
    Makes MTAs in memory, and stops them when the test is over: a stop that leaves anything behind fails the test.
    A test that fails prints what its MTAs did.

    Errors in the log are trial's business: `flushLoggedErrors` takes those that a test expects.
    """

    def run(self, result: Any = None) -> Any:
        """
        Run the test; under pytest its plugin looks at what was made, and shows the story.
        """
        made: list[Mta] = []
        setattr(self, MADE, made)
        if not IReporter.providedBy(result):
            return super().run(result)  # type: ignore[no-untyped-call]
        heard = _Heard(result)
        super().run(heard)  # type: ignore[no-untyped-call]
        setattr(self, MADE, ())
        if heard.trouble:
            sys.stdout.write("".join(f"\n--- {mta.config.hostname}\n{mta.story()}\n" for mta in made))
        return None

    def mta(self, *args: Any, **kw: Any) -> Mta:
        """
        Make an MTA, with the arguments of `Mta`.
        """
        made = Mta(*args, **kw)
        self.addCleanup(made.stop)
        getattr(self, MADE).append(made)
        return made

    def services(self, *args: Any, **kw: Any) -> FakeServices:
        """
        Make what a module is given, with the arguments of `FakeServices`; stopped with the test.
        """
        made = FakeServices(*args, **kw)
        self.addCleanup(made.close)
        return made

    addCleanup: Callable[..., None]  # noqa: N815 trial's


class _Heard:
    """
    A result of trial's, which hears whether a test is in trouble.
    """

    def __init__(self, result: Any) -> None:
        self.trouble = False
        self._result = result
        directlyProvides(self, providedBy(result))

    def addError(self, *told: Any) -> None:
        """
        It is.
        """
        self.trouble = True
        self._result.addError(*told)

    def addFailure(self, *told: Any) -> None:
        """
        It is.
        """
        self.trouble = True
        self._result.addFailure(*told)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)
