#!/bin/sh
# Starts the server of docker-compose.yml. Secrets come as files, never on a command line.
set -eu
PGPASSWORD="$(cat /run/secrets/database_password)" # read by libpq
export PGPASSWORD
# A server that others can reach wants an admin token first. Any command makes the home's own, on loopback.
hpsearch token list > /dev/null
exec hpsearch serve --host 0.0.0.0 --port 8000
