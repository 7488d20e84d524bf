"""
`python -m empath.ctl` is `empathctl`.
"""

from empath.ctl.main import main

if __name__ == "__main__":
    main()
