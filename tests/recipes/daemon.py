"""A cron daemon of one's own: Debian's, seeing no crontab of the system and seen by none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# Mounts that end with the namespace hide all crontabs, the lock of any other daemon, and what an
# earlier faketime has left in shared memory under the same process id.
NAMESPACE = """
mount --make-rprivate / &&
mount -t tmpfs none /etc/cron.d &&
mount -t tmpfs none /var/spool/cron &&
mount -t tmpfs none /run &&
mount -t tmpfs none /dev/shm &&
mount --bind /dev/null /etc/crontab &&
mkdir -m 1730 /var/spool/cron/crontabs &&
install -m 600 "$1" /var/spool/cron/crontabs/root || exit 9
shift
exec "$@" cron -f
"""
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
# No daemon outlives the tests, however they end.
WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


def need_namespaces() -> None:
    """Skip a test where this process may not mount."""
    if subprocess.run([*UNSHARE, "mount", "--make-rprivate", "/"], capture_output=True).returncode:
        pytest.skip("a private cron daemon needs the right to mount (root)")


@contextmanager
def cron_daemon(crontab: Path, clock: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run the jobs of this crontab as root, by the machine's clock or what `clock` makes of it."""
    with subprocess.Popen(
        [*WITH_PARENT, *UNSHARE, "sh", "-c", NAMESPACE, "cron", crontab, *clock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_code(
    daemon: subprocess.Popen[str], codes: Path, count: int, seconds: float = 150
) -> int:
    """The last of this many exit codes, a line each, once the jobs have left them there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert daemon.poll() is None, daemon.communicate()[1]
        lines = codes.read_text().splitlines() if codes.exists() else []
        if len(lines) >= count:
            return int(lines[count - 1])
        time.sleep(0.1)
    raise AssertionError(f"no end of job {count} within {seconds:g} s")
