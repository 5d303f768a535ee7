"""Compares the exact versions in `constraints.txt` with published advisories. Run by `make audit`.

Exit code 1 where a version is known to be vulnerable. Where no advisory service can be asked, nothing was compared, and
that is said in one sentence.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SERVICES = ("pypi", "osv")  # the second where the first does not answer
PATIENCE_SECONDS = 60.0


def asked(service: str) -> list[dict[str, Any]] | None:
    """What pip-audit found on each dependency; None where the service answered for none."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt"), "--no-deps"]
    command += [
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "--vulnerability-service",
        service,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        return None  # it says on standard error that the service can't be reached
    return dependencies if any("skip_reason" not in one for one in dependencies) else None


def main() -> int:
    found = next((answer for answer in map(asked, SERVICES) if answer is not None), None)
    if found is None:
        sys.stdout.write("advisories: skipped, no advisory service answers here\n")
        return 0
    wrong = [(one, vuln) for one in found for vuln in one.get("vulns", ())]
    for one, vuln in wrong:
        fixed = ", ".join(vuln["fix_versions"]) or "no version yet"
        sys.stdout.write(f"{one['name']} {one['version']}: {vuln['id']}, fixed in {fixed}\n")
    skipped = sum("skip_reason" in one for one in found)
    sys.stdout.write(
        f"advisories: {len(found) - skipped} versions compared, {skipped} not known there, {len(wrong)} hits\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
