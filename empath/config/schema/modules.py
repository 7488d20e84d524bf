"""
What the operator can write of modules: [[modules]].
"""

from __future__ import annotations

from typing import Literal

import attrs

from empath.config.units import MINUTE, Duration, Options, seconds


@attrs.frozen(slots=True)
class Module:
    """
    [[modules]]: one module, in its place in the order. `factory` is the dotted name of a callable that returns an
    IModule ("package.module:Name"), or the name of one that is built in or installed; it is called with `options`.
    `name` replaces the module's own, which no two modules may share.

    `timeout` is the time for what it awaits in one hook, `data_timeout` in the hook `data`. `on_error` is the answer
    when it fails: "tempfail" (451) or "ignore" (no opinion). After `failure_threshold` failures in a row it is not
    asked for `retry_after`, which gives the same answer. In `shadow` mode what it decides and changes is recorded and
    does not happen.
    """

    factory: str = ""
    name: str = ""
    options: Options = attrs.field(factory=lambda: Options({}))
    timeout: Duration = seconds(5)
    data_timeout: Duration = seconds(MINUTE)
    on_error: Literal["tempfail", "ignore"] = "tempfail"
    mode: Literal["enforce", "shadow"] = "enforce"
    failure_threshold: int = 5
    retry_after: Duration = seconds(MINUTE)
