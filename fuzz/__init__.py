"""
Fuzzing: each target takes any bytes and raises only if the product broke a promise. See docs/testing.md.
"""
