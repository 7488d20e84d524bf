"""
A non-blocking stub resolver with a cache.
"""
