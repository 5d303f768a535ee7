"""schemathesis over the OpenAPI document, with authentication, stateful links and data that the document forbids.

`python -m tests.fuzz --cases 20000` starts a server of its own, fuzzes it until so many requests were answered,
prints how they were and exits 1 after any 5xx or broken promise of the document. What is counted is what the
server's own metrics say.
"""

import argparse
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx2

from api.server import background
from api.settings import Settings
from hpsearch.home import Home
from tests.api.scenes import API, grid_spec, lease, post_spec, register

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,response_headers_conformance,ignored_auth"
COUNT = re.compile(r'hpsearch_request_seconds_count\{.*status="(\d+)"\} (\d+)')
ROUNDS = 200
EXAMPLES = 12  # random ones of an operation in a round, beside those that its bounds give
TOKENS = 336  # the last is the one that fuzzes: its id is none that `DELETE /tokens/{token}` will guess, as 201 was


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database-url", default=None)
    options = parser.parse_args()
    for name in ("api.access", "hpsearch.reports"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(Path(folder), options.cases, options.seed, options.database_url)


def fuzz(folder: Path, cases: int, seed: int, database_url: str | None) -> int:
    settings = Settings(
        home=Home(folder / "home"),
        port=0,
        database_url=database_url,
        log_level="error",
        longest_poll_seconds=0.0,
        longest_stream_seconds=0.05,
        bad_tokens_per_minute=10**9,
    )
    with background(settings) as address:
        admin = {"Authorization": f"Bearer {settings.home.read_token()}"}
        with httpx2.Client(base_url=address.url, headers=admin, trust_env=False) as http:
            token = furnish(http)
            http.headers["Authorization"] = token
            started, before = time.monotonic(), answers(http)
            code = 0
            for round_ in range(ROUNDS):
                code |= schemathesis(address.url, token, seed + round_, folder)
                counted = answers(http) - before
                if code or counted.total() >= cases:
                    break
            tell(counted, time.monotonic() - started)
    failed = sum(count for status, count in counted.items() if status >= 500)
    return 1 if code or failed or counted.total() < cases else 0


def furnish(http: httpx2.Client) -> str:
    """A study with a trial under way, so that links lead somewhere; the Authorization to fuzz with."""
    post_spec(http, grid_spec("furnished", points=4))  # type: ignore[arg-type]
    lease(http, register(http))  # type: ignore[arg-type]
    secret = ""
    for number in range(TOKENS):
        body = {"name": f"token {number}", "scope": "admin"}
        secret = http.post(f"{API}/tokens", json=body).json()["secret"]
    return f"Bearer {secret}"


def schemathesis(url: str, token: str, seed: int, folder: Path) -> int:
    """One round over all operations; its exit code."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", f"Authorization: {token}"),
        *("--checks", CHECKS, "--mode", "all", "--phases", "coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES)),
        *("--seed", str(seed), "--no-shrink", "--generation-database", "none", "--request-timeout", "10"),
        *("--warnings", "off", "--no-color"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stdout.write(done.stdout[-20_000:] + done.stderr[-2_000:])
    return done.returncode


def answers(http: httpx2.Client) -> Counter[int]:
    """Status -> how many requests were answered so, by the server's own count."""
    text = http.get("/metrics").raise_for_status().text
    found: Counter[int] = Counter()
    for status, count in COUNT.findall(text):
        found[int(status)] += int(float(count))
    return found


def tell(counted: Counter[int], seconds: float) -> None:
    by_status = ", ".join(f"{status}: {count:,}" for status, count in sorted(counted.items()) if count)
    failed = sum(count for status, count in counted.items() if status >= 500)
    sys.stdout.write(
        f"{counted.total():,} requests in {seconds:.0f} s, {failed} answered with 5xx ({by_status})\n"
    )


if __name__ == "__main__":
    sys.exit(main())
