"""
What is asked about the configuration: read again, shown, compared.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from empath.config.offline import check_text, compare
from empath.config.schema import Config
from empath.config.written import plain
from empath.control.serving import Answers, Call, Refused
from empath.control.terms.config import ConfigDiff, DiffConfig, Difference, GetConfig, ShownConfig
from empath.control.terms.system import Reload, Reloaded
from empath.errors import ConfigError
from empath.service.modules import in_force
from empath.service.overriding import overrides_of

if TYPE_CHECKING:
    from empath.service import EmpathService


class ConfigControl:
    """
    Answers for `service`.
    """

    def __init__(self, service: EmpathService) -> None:
        self._service = service

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {Reload: self._reload, GetConfig: self._show, DiffConfig: self._diff}

    def _reload(self, request: Reload, call: Call) -> Reloaded:
        try:
            outcome = self._service.reload()
        except ConfigError as trouble:
            raise Refused(*trouble.problems, "nothing was changed") from trouble
        return Reloaded(outcome.path, outcome.changed, tuple(outcome.restart), dict(outcome.restart))

    @property
    def _in_force(self) -> Config:
        return in_force(self._service.config, self._service.modules.sections)

    def _show(self, request: GetConfig, call: Call) -> ShownConfig:
        service = self._service
        return ShownConfig(service.configuration.path, plain(self._in_force), overrides_of(service))

    async def _diff(self, request: DiffConfig, call: Call) -> ConfigDiff:
        configuration = self._service.configuration
        if configuration.origin is None:
            raise Refused("there is nothing that a file could be compared with")
        reading = partial(check_text, request.text, Path(request.path), configuration.origin.around)
        try:
            wanted = await configuration.in_thread(reading)
        except ConfigError as trouble:
            return ConfigDiff((), tuple(trouble.problems))
        found = compare(self._in_force, wanted)
        return ConfigDiff(
            tuple(Difference(each.key, each.old, each.new, bool(each.restart), each.restart) for each in found)
        )
