"""
The strategy that posts mail to an application over HTTPS.
"""
