"""
Tells twistd that there is an "empath" to run.
"""

from twisted.application.service import ServiceMaker

empath = ServiceMaker("empath", "empath.program", "A mail transfer agent: accepts mail and carries it on.", "empath")
