"""
empath: a mail transfer agent that Python people program, run and trust.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """
        Look `__version__` up when it is asked for: reading the metadata of packages takes longer than all of empathctl.
        """
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return globals().setdefault(name, version("empath-mta"))
