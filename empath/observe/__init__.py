"""
Logs, counters and health, made from life events.
"""
