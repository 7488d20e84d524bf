"""
The modules that come with empath, written with what `empath.modules` gives to everybody.
"""
