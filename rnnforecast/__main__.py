"""`python -m rnnforecast`."""

import os
import signal
from typing import NoReturn

# How often a thread of torch's looks for more to do before it sleeps: some 0.1 ms. By itself it
# takes milliseconds, of a core that the compiled kernels' threads want.
SPINS = "10000"


def main() -> NoReturn:
    """Run the program; SIGINT while it is being imported ends it silently."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rnnforecast.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
