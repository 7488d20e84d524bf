"""
From a file, or from none, to a `Config`.

Everything wrong with a file is fatal, and told at once in one `ConfigError`; nothing is retried or ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from empath.config.consistency import completed, contradictions
from empath.config.convert import Conversion, Problem
from empath.config.schema import Audit, Config, Domain, Spool
from empath.config.units import Folder
from empath.config.values import Surroundings
from empath.errors import ConfigError

SYSTEM_FILE: Final = Path("/etc/empath/empath.toml")
LOCAL_FILE: Final = "empath.toml"
VARIABLE: Final = "EMPATH_CONFIG"
STATE_FOLDER: Final = ".empath"


@attrs.frozen(slots=True)
class Loaded:
    """
    A configuration and where it is from; `path` is None for the built-in development defaults. `written` has the paths
    of the keys that stand there, such as "audit.path"; all others have their defaults.
    """

    config: Config
    path: Path | None
    written: frozenset[str] = frozenset()

    def named(self, problems: Iterable[str]) -> list[str]:
        """
        Put where it is from before each problem of who knows keys and values, and no file.
        """
        return [f"{self.path or 'built-in defaults'}: {problem}" for problem in problems]


def find_and_load(given: str | None, around: Surroundings) -> Loaded:
    """
    Use the file `given`, else the one that the environment names, else ./empath.toml, else /etc/empath/empath.toml;
    where there is none of these, the development defaults. `around.folder` is the working directory.

    A file that was named must exist. ConfigError tells everything that is wrong with it.
    """
    path = find_config(given, around)
    if path is None:
        return Loaded(development_config(around), None)
    raw, config = _read(path, around)
    return Loaded(config, path, frozenset(_keys(raw)))


def find_config(given: str | None, around: Surroundings) -> Path | None:
    """
    Tell which file is to be read, None where there is none.
    """
    named = given or around.environ.get(VARIABLE)
    if named:
        return around.folder / named
    return next((path for path in (around.folder / LOCAL_FILE, SYSTEM_FILE) if path.exists()), None)


def load_config(path: Path, around: Surroundings) -> Config:
    """
    Read a file; relative paths in it are resolved against its folder. ConfigError if it cannot be used.
    """
    return _read(path, around)[1]


def _read(path: Path, around: Surroundings) -> tuple[dict[str, object], Config]:
    """
    Read a file as it was written, and as it is meant.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as trouble:
        raise ConfigError([f"{path}: cannot be read: {trouble.strerror}"]) from trouble
    except UnicodeDecodeError as trouble:
        raise ConfigError([f"{path}: not UTF-8 at byte {trouble.start}; allowed: TOML in UTF-8"]) from trouble
    raw = _tables(text, str(path))
    return raw, _config_of(raw, str(path), attrs.evolve(around, folder=path.absolute().parent))


def parse_config(text: str, source: str, around: Surroundings) -> Config:
    """
    Read the text of a file that errors call `source`. ConfigError tells everything that is wrong with it.
    """
    return _config_of(_tables(text, source), source, around)


def _tables(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as trouble:
        raise ConfigError([f"{source}: not TOML: {trouble}"]) from trouble
    except (ValueError, RecursionError) as trouble:  # tomllib lets Python's own limits through
        raise ConfigError([f"{source}: not TOML that can be read: a number too long, or nested too deep"]) from trouble


def _keys(raw: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """
    Tell the path of each key, those of tables too; what is in arrays has none.
    """
    for key, value in raw.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def development_config(around: Surroundings) -> Config:
    """
    Make the configuration of a machine without one: loopback only, state in ./.empath/, and nothing leaves the
    machine, as every domain is delivered into the maildir ./.empath/mail. A machine without a usable name is localhost.
    """
    state = around.folder.absolute() / STATE_FOLDER
    everything = Domain(strategy="maildir", path=Folder(str(state / "mail")))
    try:
        config = _config_of({}, "built-in defaults", around)
    except ConfigError:
        config = _config_of({"hostname": "localhost"}, "built-in defaults", around)
    return attrs.evolve(
        config,
        control_socket=Folder(str(state / "control.sock")),
        audit=Audit(path=Folder(str(state / "audit.jsonl"))),
        spool=Spool(path=Folder(str(state / "spool"))),
        delivery=attrs.evolve(config.delivery, domains={"*": everything}),
    )


def _config_of(raw: dict[str, object], source: str, around: Surroundings) -> Config:
    """
    Convert, compare and complete; ConfigError unless nothing is wrong.
    """
    conversion = Conversion(around)
    config = conversion.table(Config, raw if "hostname" in raw else {"hostname": around.hostname(), **raw})
    problems = conversion.problems
    problems += _unreported(contradictions(config), problems)
    if problems:
        raise ConfigError([problem.line(source) for problem in problems])
    return completed(config)


def _unreported(later: Iterable[Problem], reported: list[Problem]) -> list[Problem]:
    """
    Leave out what only follows from a value that is reported already, as its default stands in for it.

    An item of an array that is reported stands for the array.
    """
    paths = {problem.path.rpartition("[")[0] if problem.path.endswith("]") else problem.path for problem in reported}
    return [problem for problem in later if paths.isdisjoint((problem.path, *problem.because))]
