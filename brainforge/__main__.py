"""``python -m brainforge``: the same as the command ``brainforge``."""

import sys

from brainforge.cli import main

if __name__ == "__main__":
    sys.exit(main())
