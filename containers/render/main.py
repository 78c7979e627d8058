"""The render container's entry: what AWS Batch runs, and the laptop as a subprocess."""

import signal
import sys

# As process 1 of a container it would not hear SIGTERM without a handler, and the imports below take seconds.
signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))

from chimera.entrypoints import container_main  # noqa: E402

if __name__ == "__main__":
    sys.exit(container_main(sys.argv[1:]))
