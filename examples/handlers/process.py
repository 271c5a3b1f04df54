"""
A function that computes, in a process: Python runs the threads of one process on one
processor at a time.

    twistd -n --pidfile= consumer --url URL --limit 4 --python process.countPrimes \\
        --run-in process

Payload: {"below": 1000000}

A task that is cancelled is ended together with its process, and so is one whose process
dies; the others go on.
"""

from __future__ import annotations

from myconsumer import Task


def countPrimes(task: Task) -> dict[str, int]:
    """
    Count the prime numbers below a number.
    """
    below = task.payload["below"]
    isPrime = bytearray([1]) * below
    isPrime[:2] = bytes(min(2, below))
    for number in range(2, int(below**0.5) + 1):
        if isPrime[number]:
            multiples = range(number * number, below, number)
            isPrime[number * number :: number] = bytes(len(multiples))
    return {"primes": sum(isPrime)}
