"""
empath: a mail transfer agent that Python people program, run and trust.
"""

from importlib.metadata import version

__version__ = version("empath-mta")
