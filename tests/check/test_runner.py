"""
Tests for L{myconsumer.check.runner}, with the checks as they are.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.web.server import NOT_DONE_YET, Request

from myconsumer.cli.running import CommandError
from tests.check.stage import Stage, StageCase, says


class RunTests(StageCase):
    """
    Tests for L{run <myconsumer.check.runner.run>}.
    """

    def test_passesTheExample(self) -> None:
        """
        All holds for the example endpoint; nothing is left, and the checks take less
        than 20 seconds.
        """
        self.assertEqual(self.stage.run(), 0)
        self.assertEqual(
            self.stage.lines[0], "http://host and the pull contract, version 1:"
        )
        self.assertEqual((self.told("FAIL"), self.told("note")), ([], []))
        (skipped,) = self.told("skip")
        self.assertIn("token", skipped)
        count = len(self.told("ok"))
        self.assertEqual(self.stage.lines[-1], f"{count} hold, 0 do not, 1 was skipped")
        self.assertEqual(self.queued(), 0)
        self.assertLess(self.stage.clock.seconds(), 20)

    def test_tellsWhatDoesNotHold(self) -> None:
        """
        What does not hold is told with what was seen, what is wanted and the requests
        that show it; the status is 1.
        """

        def before(request: Request) -> Any:
            if request.path == b"/settle":
                return says(request, 418, {"error": "short and stout"})
            return None

        self.stage.before = before
        self.assertEqual(self.stage.run("never given is lost"), 1)
        seen = "POST URL/settle answered 418 I'm a teapot; it says: short and stout"
        self.assertEqual(
            self.stage.lines[1],
            f"FAIL  a receipt that was never given is lost, and no error: {seen}; "
            'wanted: 200 with {"lost": ["receipt", ...]}, or 204',
        )
        self.assertRegex(
            self.stage.lines[2], r"^      0\.00-0\.0. s: POST URL/settle .* -> 418 .* {"
        )
        self.assertEqual(self.stage.lines[-1], "0 hold, 1 does not")

    def test_checksWithoutAProducer(self) -> None:
        """
        Where tasks cannot be queued, all that needs none is checked; the status is 1,
        and the last line says why.
        """

        def before(request: Request) -> Any:
            return says(request, 405) if request.path == b"/" else None

        self.stage.before = before
        self.assertEqual(self.stage.run(), 1)
        self.assertEqual(self.told("FAIL"), [])
        self.assertGreaterEqual(len(self.told("ok")), 6)
        self.assertGreaterEqual(len(self.told("skip")), 20)
        self.assertEqual(
            self.stage.lines[-1],
            "What needs tasks was not checked: POST URL, which would queue a task, "
            "answers 405 Method Not Allowed",
        )

    def test_notesALackingDelete(self) -> None:
        """
        An endpoint may lack DELETE: that is noted with what it costs, once, and what
        needs it is skipped.
        """

        def before(request: Request) -> Any:
            return says(request, 501) if request.method == b"DELETE" else None

        self.stage.before = before
        self.assertEqual(self.stage.run(), 0)
        (note,) = self.told("note")
        self.assertIn("answers 501, as it may; but then consumers wait", note)
        skipped = [line for line in self.told("skip") if "answers 501" in line]
        self.assertEqual(len(skipped), 4)

    def test_notesAnEndpointThatDoesNotWait(self) -> None:
        """
        An endpoint may answer at once, which is noted; nothing can wake its claims, and
        all else holds.
        """
        self.stage.endpoint.claim = self.withChanged(wait=0)
        self.assertEqual(self.stage.run(), 0, self.told("FAIL"))
        (note,) = self.told("note")
        self.assertIn("does not wait is asked again and again", note)
        self.assertEqual(sum("does not wait" in x for x in self.told("skip")), 7)

    def test_believesLongLeases(self) -> None:
        """
        An endpoint that says that it leases for longer is believed: the ends of its
        leases are not waited for, and no task is left in it all the same.
        """
        self.stage.endpoint.claim = self.withChanged(lease=600)
        self.assertEqual(self.stage.run(), 0, self.told("FAIL"))
        skipped = [line for line in self.told("skip") if "lease of 600 s" in line]
        self.assertGreaterEqual(len(skipped), 4)
        self.assertEqual(self.queued(), 0)

    def withChanged(self, **fields: float) -> Any:
        """
        Make what takes claims as if some of their fields were others.
        """
        claim = self.stage.endpoint.claim

        def changed(request: Request, /, **body: Any) -> Any:
            valid = isinstance(body["wait"], int | float) and body["limit"] != 0
            return claim(request, **(body | fields if valid else body))

        return changed

    def test_leavesNothingWhenCancelled(self) -> None:
        """
        A check that is cancelled, as by a signal, leaves nothing all the same.
        """
        for seconds in (4.6, 7.2, 8.5, 10.5):
            self.stage = Stage()
            running = self.stage.begin()
            self.stage.clock.callLater(seconds, running.cancel)
            self.stage.play(running)
            self.failureResultOf(running, CancelledError)
            self.assertEqual(self.queued(), 0)
            self.assertEqual(self.stage.endpoint.polls, {})

    def test_givesBackForeignTasks(self) -> None:
        """
        A task of somebody else is given back as it was, at once, and ends the check.
        """
        self.stage.endpoint.put({"id": "17", "payload": "theirs"}, 0)
        with self.assertRaises(CommandError) as caught:
            self.stage.run()
        self.assertIn('tasks of somebody else in it ("17")', str(caught.exception))
        self.assertIn("queue of its own", str(caught.exception))
        (due, task), *_ = self.stage.endpoint.tasks.values()
        self.assertEqual((task["payload"], task["attempt"]), ("theirs", 0))
        self.assertLessEqual(due, self.stage.clock.seconds())

    def test_givesBackForeignTasksLater(self) -> None:
        """
        A task of somebody else that comes while checks are made ends them, too, and no
        task of the checks is left.
        """
        put = self.stage.endpoint.put
        self.stage.clock.callLater(4, lambda: put({"id": "theirs", "payload": None}, 0))
        self.assertRaises(CommandError, self.stage.run)
        self.assertEqual(list(self.stage.endpoint.tasks), ["theirs"])

    def test_completesWhatAnEarlierRunLeft(self) -> None:
        """
        What an earlier check has left, as one that was broken off does, is completed.
        """
        payload = {"myconsumer check": "check-0123456789ab/1/1", "value": 1}
        for name in "xyz":
            self.stage.endpoint.put({"id": name, "payload": payload}, 0)
        self.assertEqual(self.stage.run("limit"), 0)
        self.assertEqual(
            self.stage.lines[1],
            "3 tasks that an earlier check had left were completed",
        )
        self.assertEqual(self.queued(), 0)

    def test_endsWhereClaimsAreRefused(self) -> None:
        """
        An endpoint that refuses claims cannot be checked; where a token is wanted, the
        option for it is named.
        """
        for code, words in (404, "404 Not Found"), (401, "--token-file names"):
            self.stage.before = lambda request, code=code: says(request, code)
            with self.assertRaises(CommandError) as caught:
                self.stage.run()
            self.assertIn(
                "nothing can be checked: POST URL/claim", str(caught.exception)
            )
            self.assertIn(words, str(caught.exception))

    def test_endsWhereNothingIsAnswered(self) -> None:
        """
        An endpoint that falls silent ends the check.
        """
        claims: list[Any] = []

        def before(request: Request) -> Any:
            claims.append(request)
            return NOT_DONE_YET if len(claims) > 4 else None

        self.stage.before = before
        self.assertEqual(self.stage.run(), 1)
        (failed,) = self.told("FAIL")
        self.assertIn("was not answered: no whole answer within", failed)
        self.assertIn(
            "The endpoint does not answer any more: the rest is left out",
            self.stage.lines,
        )

    def test_skipsWhereAnswersAreSlow(self) -> None:
        """
        Where answers take longer than the leases that are asked for, nothing is said
        against the endpoint.
        """
        late: set[Request] = set()

        def before(request: Request) -> Any:
            if request.path != b"/settle" or request in late:
                return None
            late.add(request)
            self.stage.clock.callLater(2, self.stage.render, request)
            return NOT_DONE_YET

        self.stage.before = before
        self.assertEqual(self.stage.run("never delivered again"), 0)
        self.assertIn("take too long for this check", self.told("skip")[0])
        self.assertEqual(self.queued(), 0)

    def test_checksTheToken(self) -> None:
        """
        With a token, requests without it and with another have to be answered 401; the
        token is never shown.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("s3cret")
        only = "without the right token"
        for accepted, status in ([b"Bearer s3cret"], 0), ([b"Bearer not-it"], 1):
            self.stage = Stage(path)
            accepted.append(b"Bearer s3cret")

            def before(request: Request, accepted: list[bytes] = accepted) -> Any:
                sent = request.getHeader(b"Authorization")
                return None if sent in accepted else says(request, 401, "not s3cret")

            self.stage.before = before
            self.assertEqual(self.stage.run(only, "never given is lost"), status)
            self.assertNotIn("s3cret", "".join(self.stage.lines))
        self.assertIn("with a wrong token was answered 200", self.told("FAIL")[0])

    def test_tidiesUp(self) -> None:
        """
        A check that fails leaves nothing to the next one: claims are ended, and tasks
        completed.
        """
        settle = self.stage.endpoint.settle

        def wrong(*, outcome: str, **fields: Any) -> Any:
            # released tasks come late
            fields |= {"delay": 4} if outcome == "release" else {}
            return settle(outcome=outcome, **fields)

        self.stage.endpoint.settle = wrong
        only = ("released wakes", "comes again, as the next", "gives the attempt")
        self.assertEqual(self.stage.run(*only, "after all that"), 1)
        self.assertEqual(self.queued(), 0)
        self.assertEqual(self.stage.endpoint.polls, {})
        self.assertEqual(len(self.told("ok")), 3)

    def test_notesTasksWithoutReceipt(self) -> None:
        """
        Tasks need not have receipts: that is noted, and nothing is settled.
        """
        tasks: list[Any] = []

        def before(request: Request) -> Any:
            if request.method != b"POST" or request.path == b"/settle":
                return None
            body = json.loads(request.content.read() or b"null")
            request.content.seek(0)
            if request.path == b"/":
                tasks.append({"id": len(tasks), "payload": body["payload"]})
                return says(request, 201, {"ids": [len(tasks) - 1]})
            if not isinstance(body, dict) or body["limit"] == 0:
                return None
            taken, tasks[:] = tasks[: body["limit"]], tasks[body["limit"] :]
            return says(request, 200, {"tasks": taken})

        self.stage.before = before
        self.assertEqual(self.stage.run("with id, payload", "obeys its delay"), 0)
        self.assertIn("has no receipt", self.told("note")[0])
        self.assertIn("come without a receipt", self.told("skip")[0])
