"""
What every edge that speaks over a socket needs of its transport.
"""
