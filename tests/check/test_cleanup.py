"""
Tests for L{myconsumer.check.cleanup}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from myconsumer.check.cleanup import tidy
from myconsumer.check.exceptions import Foreign
from tests.check.stage import StageCase, says


class TidyTests(StageCase):
    """
    Tests for L{tidy}.
    """

    def tidy(self) -> Deferred[None]:
        tidying = Deferred.fromCoroutine(tidy(self.stage.player))
        self.stage.play(tidying)
        return tidying

    def test_endsOpenClaims(self) -> None:
        """
        A claim that is open is ended by its name, for endpoints that would not notice
        that its client goes, and then dropped.
        """
        paths: list[bytes] = []

        def before(request: Request) -> Any:
            paths.append(request.method + request.path)
            return says(request, 204) if request.method == b"DELETE" else None

        self.stage.before = before
        poll = self.stage.player.begin(wait=20)
        self.stage.treq.flush()
        self.assertNoResult(poll.answered)
        self.successResultOf(self.tidy())
        name = poll.name.encode()
        self.assertEqual(paths, [b"POST/claim", b"DELETE/claim/" + name])
        self.assertTrue(poll.answered.called)
        self.assertEqual(self.stage.player.polls, [])

    def test_completesWhatIsLeft(self) -> None:
        """
        A task that nobody claimed, and one whose lease has to end first, are completed.
        """
        player = self.stage.player

        async def leave() -> None:
            await player.queue(1, 2)
            (task,) = await player.claim(lease=2)
            # lost to the check, as with an answer that was broken
            player.own.came(task)
            task.fields = {**task.fields, "receipt": "another"}

        self.stage.play(Deferred.fromCoroutine(leave()))
        self.assertEqual(self.queued(), 2)
        self.successResultOf(self.tidy())
        self.assertEqual((self.queued(), player.own.left), (0, 0))

    def test_tellsOfForeignTasks(self) -> None:
        """
        A task of somebody else, brought by a claim that nobody looked at, is told of.
        """
        self.stage.player.begin(wait=20)
        self.stage.treq.flush()
        self.stage.endpoint.put({"id": "theirs", "payload": 1}, 0)
        self.stage.play(Deferred.fromCoroutine(self.stage.player.pause(0.1)))
        self.failureResultOf(self.tidy(), Foreign)
