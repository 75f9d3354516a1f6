"""The units of the systemd recipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.recipes.blocks import block, need

UNITS = ("/etc/systemd/system/rnnforecast.service", "/etc/systemd/system/rnnforecast.timer")


def write_units(folder: Path) -> list[Path]:
    """Both, and the script that they start."""
    script = folder / "nightly.sh"
    script.write_text(block("nightly.sh", folder))
    script.chmod(0o755)
    paths = [folder / Path(title).name for title in UNITS]
    for path, title in zip(paths, UNITS, strict=True):
        path.write_text(block(title, folder))
    return paths


def verdict(paths: list[Path]) -> str:
    """What systemd says of units; of what it does not know it warns only."""
    command = ["systemd-analyze", "verify", *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True)
    lines = run.stderr.splitlines()
    return "\n".join(line for line in lines if "rnnforecast" in line or run.returncode)


def test_units_are_right_when_systemd_reads_them(folder: Path) -> None:
    need("systemd-analyze")
    assert verdict(write_units(folder)) == ""


def test_units_are_found_wrong_when_their_script_is_absent(folder: Path) -> None:
    need("systemd-analyze")
    paths = write_units(folder)
    (folder / "nightly.sh").unlink()
    assert "nightly.sh" in verdict(paths)
