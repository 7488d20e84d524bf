"""
Decisions about mail as functions of values. Pure.
"""
