"""`python -m rnnforecast`."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the program; SIGINT while it is being imported ends it silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rnnforecast.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
