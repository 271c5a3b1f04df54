"""
The state of a consumer in words, and as JSON.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.state import Status, ended
from myconsumer.status.totals import Counts

#: A consumer that has done much.
BUSY = Status(
    state="running",
    limit=10,
    running=4,
    oldest=3.2,
    waiting=2,
    unsettled=1,
    leases=7,
    openClaims=1,
    uptime=3840.0,
    answered=0.4,
    totals=Counts(complete=299_980, fail=12, release=8, claimed=300_006),
)


def changed(**fields: Any) -> Status:
    """
    @return: A busy consumer, but for some fields.
    """
    return msgspec.structs.replace(BUSY, **fields)


class StatusTests(SynchronousTestCase):
    """
    L{Status}.
    """

    def test_saysAllInAFewLines(self) -> None:
        """
        Three lines say what a consumer is at, what it holds, and what it has done.
        """
        self.assertEqual(
            BUSY.lines(),
            [
                "running, up for 1 h 4 min; limit 10",
                "4 running, the oldest for 3.2 s; 2 waiting; 1 not settled; 7 leases; "
                "1 open claim; the endpoint has last answered 0.4 s ago",
                "in all 299,980 complete, 12 failed, 8 released; 300,006 claimed; "
                "0 failed claims; 0 lost leases",
            ],
        )

    def test_saysItShortly(self) -> None:
        """
        One short line is enough for systemd.
        """
        for status, words in (
            (
                BUSY,
                "running; 4 running, the oldest for 3.2 s; 2 waiting; 299,980 complete,"
                " 12 failed, 8 released",
            ),
            (
                changed(running=1, oldest=75.0, totals=Counts()),
                "running; 1 running, for 75 s; 2 waiting; 0 complete",
            ),
            (Status(limit=3), "stopped; 0 running; 0 waiting; 0 complete"),
            (
                Status(state="running", limit=3, claimFailures=4, failingFor=180.0),
                "running; 0 running; 0 waiting; 0 complete; claims failing for 3 min",
            ),
            (
                Status(state="paused", limit=3, pauses=["lunch"]),
                "paused; 0 running; 0 waiting; 0 complete; paused: lunch",
            ),
        ):
            self.assertEqual(status.short(), words)

    def test_saysThatTheEndpointHasNotAnswered(self) -> None:
        """
        Where the endpoint has not answered at all the lines say so.
        """
        self.assertIn("the endpoint has not answered yet", Status(limit=1).lines()[1])

    def test_namesOnlyOutcomesThatThereWere(self) -> None:
        """
        Beside complete tasks only outcomes are named that there were.
        """
        self.assertEqual(ended(Counts()), "0 complete")
        self.assertEqual(
            ended(Counts(uncounted=1, lost=2, dropped=3)),
            "0 complete, 1 given back, 2 lost their lease, 3 cannot be delivered again",
        )

    def test_isPlain(self) -> None:
        """
        JSON can encode a state, and bring it back.
        """
        encoded = msgspec.json.encode(BUSY)
        self.assertEqual(json.loads(encoded)["totals"]["fail"], 12)
        self.assertEqual(msgspec.json.decode(encoded, type=Status), BUSY)
