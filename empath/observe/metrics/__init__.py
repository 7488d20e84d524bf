"""
What is counted and looked at, and the page that Prometheus reads.
"""
