"""Builds the wheel and checks what is in it. Run by `make test`."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = {
    "hpsearch/py.typed",
    "hpsearch/recipe/plan.py",
    "hpsearch/migrations/env.py",
    "api/py.typed",
    "api/app.py",
    "api/templates/study.html",
    "api/static/chart.js",
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
    strangers = {n for n in names if not n.startswith(("hpsearch/", "api/")) and ".dist-info/" not in n}
    missing = NEEDED - names
    versions = {n for n in names if n.startswith("hpsearch/migrations/versions/")}
    if strangers or missing or not versions:
        sys.stderr.write(
            f"wheel: strangers {sorted(strangers)}, missing {sorted(missing)}, migrations {len(versions)}\n"
        )
        return 1
    sys.stdout.write(f"wheel: {len(names)} files, as they should be\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
