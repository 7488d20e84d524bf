"""
How Sphinx builds the documentation.
"""

from importlib.metadata import version as version_of

project = "empath"
author = "empath contributors"
copyright = "2026, empath contributors"
release = version_of("empath-mta")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "alabaster"
nitpicky = True
