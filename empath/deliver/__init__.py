"""
Carrying a message to its next hop.
"""
