"""
The decisions of a session: checks and modules, in their order.
"""
