#!/bin/sh
# Starts the worker of docker-compose.yml. The token comes as a file, never on a command line.
set -eu
HPSEARCH_TOKEN="$(cat /run/secrets/worker_token)"
export HPSEARCH_TOKEN
exec hpsearch worker start --tasks /tasks "$@"
