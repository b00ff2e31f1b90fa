"""Look the pinned versions up among the known holes, as far as the package index tells of them.

Usage: python tools/audit.py  (with pip-audit installed; ends with 1 if a pinned version has a known hole)
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PINNED = Path(__file__).parent.parent / "constraints.txt"


def main() -> int:
    """Print a line for each hole, and how many versions could be looked up."""
    words = ["--requirement", str(PINNED), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run([sys.executable, "-m", "pip_audit", *words], capture_output=True)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.decode(errors="replace"), file=sys.stderr)
        return 2
    lines, known, holes = told(found)
    said = f"{known} of them could be looked up, with {holes} known holes" if known else "none could be looked up"
    print("\n".join([*lines, f"{len(found)} versions are pinned: {said}"]))
    return int(holes > 0)


def told(found: Sequence[dict[str, Any]]) -> tuple[list[str], int, int]:
    """Return a line for each hole in what pip-audit found, how many versions it knew, and how many holes."""
    lines = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for one in found
        for hole in one.get("vulns", ())
    ]
    return lines, sum("skip_reason" not in one for one in found), len(lines)


if __name__ == "__main__":
    sys.exit(main())
