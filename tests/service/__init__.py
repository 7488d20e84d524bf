"""
Tests of how the parts are put together.
"""
