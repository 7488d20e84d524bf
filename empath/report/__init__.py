"""
Delivery status notifications.
"""
