#!/bin/sh
# A command that does a task's work:
#
#     python examples/endpoint.py 8080
#     twistd -n --pidfile= consumer --url http://127.0.0.1:8080 --limit 4 --exec examples/work.sh
#     curl http://127.0.0.1:8080/ -d '{"payload": {"number": 12}}'
#
# The payload is on standard input, as JSON. What is written to standard output is the
# result, if it is JSON; what is written to standard error is logged. The exit status
# tells the rest: 0 completes the task, 65 fails it for good, 75 gives it back for later,
# and any other one means that this attempt has failed.
set -eu

number=$(sed -n 's/.*"number": *\([0-9]\{1,9\}\)[,}].*/\1/p')
if [ -z "$number" ]; then
    echo "the payload has no number" >&2
    exit 65
fi
echo "squaring $number, attempt $TASK_ATTEMPT" >&2
echo "{\"square\": $((number * number))}"
