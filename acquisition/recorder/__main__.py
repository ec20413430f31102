"""``python -m brainforge.acquisition.recorder SPEC.json``."""

import sys

from brainforge.acquisition.recorder.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
