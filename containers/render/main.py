"""The render container's entry: what AWS Batch runs, and the laptop as a subprocess."""

import sys

from chimera.bootstrap import container_main

if __name__ == "__main__":
    sys.exit(container_main(sys.argv[1:]))
