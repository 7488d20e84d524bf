"""
The nouns of mail. Pure: no Twisted, clock, chance, file or log.
"""
