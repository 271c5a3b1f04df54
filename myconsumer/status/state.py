"""
The state of a consumer, as plain values.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from msgspec import Struct

from myconsumer.pipeline.parts import Pipeline
from myconsumer.status.totals import Counts, Totals
from myconsumer.status.words import duration, plural

#: What a consumer is at: it claims; it claims nothing, for a reason that may pass; it
#: lets tasks end, and claims no more; or it has not been started.
State = Literal["running", "paused", "draining", "stopped"]

#: How the log calls what has become of tasks.
_OUTCOMES = {
    "fail": "failed",
    "release": "released",
    "uncounted": "given back",
    "lost": "lost their lease",
    "dropped": "cannot be delivered again",
}


class Status(Struct, frozen=True, kw_only=True):
    """
    What a consumer is at.  JSON can encode it.

    @ivar state: See L{State}.
    @ivar limit: The most tasks that may run at once.
    @ivar running: How many tasks run.
    @ivar oldest: For how many seconds the one that began first has run; C{None} where
        none runs.
    @ivar waiting: How many tasks wait for a slot.
    @ivar unsettled: How many tasks have ended whose settlement is pending.
    @ivar leases: How many leases are held.
    @ivar openClaims: How many claims are open.
    @ivar pauses: Why nothing is claimed, if so.
    @ivar uptime: The seconds since the start; C{None} where it is stopped.
    @ivar answered: The seconds since the endpoint has last answered as it should;
        C{None}: it has not.
    @ivar claimFailures: How many claims in a row have failed.
    @ivar failingFor: For how many seconds claims have failed; C{None}: they do not.
    @ivar totals: What has happened since the service was made.
    """

    state: State = "stopped"
    limit: int
    running: int = 0
    oldest: float | None = None
    waiting: int = 0
    unsettled: int = 0
    leases: int = 0
    openClaims: int = 0
    pauses: list[str] = []
    uptime: float | None = None
    answered: float | None = None
    claimFailures: int = 0
    failingFor: float | None = None
    totals: Counts = Counts()

    def short(self) -> str:
        """
        @return: The state in a few words, for one line.
        """
        words = [self.state, self.load(), ended(self.totals), self.trouble()]
        return "; ".join(filter(None, words))

    def load(self) -> str:
        """
        @return: How many tasks run and wait.
        """
        oldest = ""
        if self.oldest is not None:
            which = "the oldest " if self.running > 1 else ""
            oldest = f", {which}for {duration(self.oldest)}"
        return f"{self.running:,} running{oldest}; {self.waiting:,} waiting"

    def trouble(self) -> str:
        """
        @return: What keeps it from claiming; empty: nothing.
        """
        if self.failingFor is not None:
            return f"claims failing for {duration(self.failingFor)}"
        if self.pauses:
            return f"paused: {', '.join(self.pauses)}"
        return ""

    def lines(self) -> list[str]:
        """
        @return: All of it in words, for the log.
        """
        since, answered = "", "the endpoint has not answered yet"
        if self.uptime is not None:
            since = f", up for {duration(self.uptime)}"
        if self.answered is not None:
            answered = f"the endpoint has last answered {duration(self.answered)} ago"
        totals = self.totals
        each = [
            [f"{self.state}{since}", f"limit {self.limit:,}", self.trouble()],
            [
                self.load(),
                f"{self.unsettled:,} not settled",
                plural(self.leases, "lease"),
                plural(self.openClaims, "open claim"),
                answered,
            ],
            [
                f"in all {ended(totals)}",
                f"{totals.claimed:,} claimed",
                plural(totals.claimFailures, "failed claim"),
                plural(totals.leasesLost, "lost lease"),
            ],
        ]
        return ["; ".join(filter(None, line)) for line in each]


def stateOf(
    pipeline: Pipeline | None, totals: Totals, limit: int, isDraining: bool, now: float
) -> Status:
    """
    Look what a consumer is at.

    @param pipeline: What its run is made of; C{None}: it is stopped.
    @param totals: What has happened.
    @param limit: The most tasks that may run at once.
    @param isDraining: Whether it is being stopped.
    @param now: The time, by the clock of C{totals}.
    """
    counts = totals.counts()
    if pipeline is None:
        return Status(limit=limit, totals=counts)
    pauses, began = sorted(map(str, pipeline.pauses)), pipeline.oldestBegan
    failures = pipeline.claimFailures
    isFailing = failures > 0 and totals.claimFailures > 0 and not isDraining
    return Status(
        state="draining" if isDraining else "paused" if pauses else "running",
        limit=limit,
        running=pipeline.running,
        oldest=None if began is None else now - began,
        waiting=pipeline.waiting,
        unsettled=pipeline.unsettled,
        leases=pipeline.leased,
        openClaims=pipeline.openClaims,
        pauses=pauses,
        uptime=now - totals.startedAt,
        answered=None if totals.answeredAt == -inf else now - totals.answeredAt,
        claimFailures=failures,
        failingFor=now - totals.claimsFailSince if isFailing else None,
        totals=counts,
    )


def ended(counts: Counts) -> str:
    """
    @return: How many tasks have ended, and how, without what has not happened.
    """
    words = [f"{counts.complete:,} complete"]
    for name, word in _OUTCOMES.items():
        if count := getattr(counts, name):
            words.append(f"{count:,} {word}")
    return ", ".join(words)
