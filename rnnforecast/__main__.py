"""`python -m rnnforecast`."""

import os
import signal
from typing import NoReturn

from rnnforecast.allocator import use_one_arena

# How often a thread of torch's looks for more to do before it sleeps: some 0.1 ms. By itself it
# takes milliseconds, of a core that the compiled kernels' threads want.
SPINS = "10000"
# Where pyarrow takes memory, which a pool of its own would keep when it is freed.
POOL = "system"


def main() -> NoReturn:
    """Run the program; SIGINT while it is being imported ends it silently."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", POOL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    use_one_arena()
    from rnnforecast.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
