#!/bin/sh
# A command that does a task's work:
#
#     python examples/endpoint.py 8080
#     twistd -n --pidfile= consumer --url http://127.0.0.1:8080 --limit 4 --exec examples/work.sh
#     curl http://127.0.0.1:8080/ -d '{"payload": {"number": 12}}'
#
# The payload is on standard input, as JSON. What is written to standard output is the
# result, if it is JSON; what is written to standard error is logged. The exit status
# decides what becomes of the task: 0 completes it, 65 fails it for good, 75 releases it,
# and any other status means that this attempt has failed.
set -eu

number=$(sed -n 's/.*"number": *\([0-9]\{1,9\}\)[,}].*/\1/p')
if [ -z "$number" ]; then
    echo "the payload has no number" >&2
    exit 65
fi
echo "squaring $number, attempt $TASK_ATTEMPT" >&2
echo "{\"square\": $((number * number))}"
