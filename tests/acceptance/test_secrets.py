"""
Secrets: the bearer token is used and read again; and none of the secrets that can be
configured is in anything that a process writes, sends or passes on.

Promise 9: the token is in no log, no process list and no environment.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.acceptance.case import AcceptanceCase, ProcessCase
from tests.acceptance.embedded import QueueCase
from tests.acceptance.exchange import Exchange
from tests.acceptance.handlers import returning
from tests.acceptance.twistd import Twistd
from tests.acceptance.webapp import WebApp, answering
from tests.processes import children

OLD, NEW = "old-token-7f3a9c", "new-token-b81e44"


class TokenTests(AcceptanceCase):
    """
    C{--token-file}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.endpoint.token = OLD
        self.file = self.directory / "token"
        self.file.write_text(OLD + "\n")

    async def test_usesAChangedToken(self) -> None:
        """
        A token that changes, in the file and at the endpoint, is used from then on.
        """
        self.start(token_file=self.file, wait=0.2, interval=0.2)
        await self.untilState("completed", [self.queue.put(returning(1))])
        self.file.write_text(NEW)
        self.endpoint.token = NEW
        await self.untilState("completed", [self.queue.put(returning(2))])
        self.assertCompletedOnce()

    async def test_rereadsTheFileWhenRefused(self) -> None:
        """
        When a token is refused, the file is read again before anything else.
        """
        consumer = self.start(token_file=self.file)
        await self.untilIdle()

        async def rotate(exchange: Exchange) -> None:
            self.file.write_text(NEW)
            self.endpoint.token = NEW
            self.endpoint.plan = lambda seen: None
            exchange.send(401, b"")

        self.endpoint.plan = lambda seen: rotate if seen.kind == "settle" else None
        await self.untilState("completed", [self.queue.put(returning(1))], seconds=5)
        await self.untilState("completed", [self.queue.put(returning(2))], seconds=5)
        self.assertCompletedOnce()
        for kind in ("settle", "claim"):
            refused = [s for s in self.endpoint.requests(kind) if s.status == 401]
            self.assertLessEqual(len(refused), 1)
        self.assertNotIn("Traceback", consumer.output)


#: Each secret, by what it is for; none is a part of another.
SECRETS = {
    "token": "t0ken+first/71ac",
    "next token": "t0ken+next/82bd",
    "key": "k3y-of-url-93ce",
    "next key": "k3y-of-next-url-a4df",
    "form": "k3y-of-forward-b5e0",
    "probe": "k3y-of-probe-c6f1",
    "password": "passw0rd-d702",
    "variable": "v4riable-e813",
    "mistake": "mist4ke-f924",
    "payload": "payl0ad-0a35",
    "result": "r3sult-1b46",
}

#: What children of a consumer run: they wait for a file, and then fail or not.
HANDLERS = """
import os, time

def work(task):
    while not os.path.exists("go"):
        time.sleep(0.02)
    if task.payload["fails"]:
        raise ValueError("it fails")
    return task.payload["result"]
"""
COMMAND = """sh -c 'while ! test -e go; do sleep 0.02; done; payload=$(cat)
echo "$payload"; case "$payload" in *true*) exit 1; esac'"""


async def parrot(exchange: Exchange, code: int, **headers: str) -> None:
    """
    An endpoint that quotes all that it was sent, as some frameworks do.
    """
    said = f"{exchange.request.uri.decode()} {exchange.seen.headers}"
    exchange.send(code, json.dumps({"error": said}).encode(), **headers)


async def parrotPage(exchange: Exchange) -> None:
    """
    As L{parrot}, by a page.
    """
    said = f"{exchange.seen.headers['authorization']} at {exchange.request.uri!r}"
    exchange.send(502, f"<h1>No {said}</h1>".encode(), Content_Type="text/html")


async def parrotSuccess(exchange: Exchange) -> None:
    """
    An answer that is no JSON, and begins with the token.
    """
    exchange.send(200, exchange.seen.headers["authorization"].encode())


async def parrotRefusal(exchange: Exchange) -> None:
    """
    As L{parrot}, with a 401.
    """
    await parrot(exchange, 401)


async def parrotRedirect(exchange: Exchange) -> None:
    """
    A redirect whose URL has all that the request had.
    """
    token = exchange.seen.headers["authorization"].partition(" ")[2]
    query = exchange.request.uri.decode().partition("?")[2]
    place = f"https://{token.replace('/', '%2F')}@elsewhere.test/{token}?{query}"
    await parrot(exchange, 302, Location=place)


class Hunt(ProcessCase):
    """
    Collects what processes show, and looks for secrets in it.

    @ivar shown: What was collected, by names.
    @ivar log: The name of what has the log.
    @ivar given: Files of a process that this test has made.
    """

    def setUp(self) -> None:
        super().setUp()
        self.shown: dict[str, bytes] = {}
        self.log = "output"
        self.given: list[Path] = []

    def listen(self) -> dict[str, str]:
        """
        @return: The variables of a service of systemd's, whose notifications are
            collected.
        """
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.setblocking(False)
        path = str(self.directory / "notify")
        self.notified.bind(path)
        return {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "10000000"}

    def keepNotifications(self) -> None:
        """
        Collect those that have come.
        """
        with contextlib.suppress(BlockingIOError):
            while True:
                self.keep("notifications", self.notified.recv(4096))

    def keep(self, what: str, shown: bytes | str) -> None:
        """
        Collect something that is shown.
        """
        data = shown if isinstance(shown, bytes) else shown.encode()
        self.shown[what] = self.shown.get(what, b"") + data

    def keepProcess(self, name: str, pid: int | str) -> None:
        """
        Collect what the system shows of a process.
        """
        for what in ("cmdline", "environ"):
            self.keep(f"{what} of {name}", Path(f"/proc/{pid}/{what}").read_bytes())

    def keepFiles(self, process: Twistd) -> None:
        """
        Collect the files that a process has made: logs, and a pid file.
        """
        for path in process.directory.rglob("*"):
            if path.is_file() and path not in self.given:
                self.keep(f"file {path.name}", path.read_bytes())

    def assertFree(self, secrets: Iterable[str], but: str = "") -> None:
        """
        None of the secrets is in anything that was collected, in whatever encoding.

        @param but: What may have them, as a regular expression.
        """
        found = [
            (name, what)
            for name in secrets
            for what, data in self.shown.items()
            if not (but and re.fullmatch(but, what))
            # the part that no encoding changes
            if SECRETS[name].rpartition("/")[2].encode() in data
        ]
        self.assertEqual(found, [])


class SecretTests(AcceptanceCase, Hunt):
    """
    A consumer with every secret that it can have, and an endpoint that says all that it
    is sent.
    """

    def write(self, key: str, more: str) -> None:
        """
        Write the file of C{--config}.
        """
        self.config.write_text(
            f"url = '{self.endpoint.url}?key={SECRETS[key]}'\n"
            f"token-file = '{self.tokenFile}'\nlimit = 3\nwait = 1\n"
            f"drain = 2\nmax-attempts = 1\n{more}"
        )

    def begin(self, more: str, *twistd: str, **options: Any) -> Twistd:
        """
        Start a consumer, and check the same options.
        """
        self.config = self.directory / "c.toml"
        self.tokenFile = self.directory / "token"
        self.endpoint.token = SECRETS["token"]
        self.tokenFile.write_text(SECRETS["token"])
        self.more = more
        self.write("key", more)
        parrots = [parrotPage, parrotSuccess]
        self.endpoint.plan = lambda seen: (
            parrots.pop() if parrots and seen.kind == "claim" else None
        )
        environment = {
            "CONSUMER_TOKEN": SECRETS["mistake"],
            "API_PASSWORD": SECRETS["variable"],
        }
        usual: dict[str, Any] = {"limit": None, "python": None, "url": None}
        given = {**usual, "config": self.config, "log_level": "debug", **options}
        given["files"] = {"handlers.py": HANDLERS}
        self.checked = self.start(environment=environment, check_config=True, **given)
        consumer = self.start(*twistd, environment=environment | self.listen(), **given)
        self.given = [consumer.directory / "handlers.py"]
        return consumer

    async def steer(self, consumer: Twistd, log: Callable[[], str]) -> None:
        """
        Show the state, and reload what is right and what is wrong.

        @param log: Returns the log so far.
        """

        async def reload(said: str) -> None:
            # the socket has room for a few
            self.keepNotifications()
            before = len(log())
            consumer.signal("HUP")
            await self.until(lambda: said in log()[before:], f"it says {said}")

        await self.until(lambda: self.checked.ending, "it is checked")
        consumer.signal("USR2")
        await self.until(lambda: "State: " in log(), "it shows its state")
        self.tokenFile.write_text(SECRETS["next token"])
        self.endpoint.token = SECRETS["next token"]
        await reload("Another token is in use now")
        self.write("next key", self.more)
        await reload("after a restart only: url")
        for wrong in (
            f"url = 'http://me:{SECRETS['password']}@h/'\nlimit = 1",
            f"limit = 'me:{SECRETS['password']}@h'",
            f"token = '{SECRETS['mistake']}'",
            f"{SECRETS['mistake']}@ = [",
        ):
            self.config.write_text(wrong)
            await reload("the old settings stay in use")
        self.tokenFile.write_text(f"{SECRETS['next token']} and more\nlines\n")
        self.write("next key", self.more)
        await reload("the last good token is in use")

    async def end(self, consumer: Twistd, log: Callable[[], str]) -> None:
        """
        Refuse all requests, quoting them, and stop the consumer.
        """
        faults = {"settle": parrotRedirect, "claim": parrotRefusal}
        self.endpoint.plan = lambda seen: faults.get(seen.kind, parrotRefusal)
        (consumer.directory / "go").write_text("1")
        await self.until(
            lambda: "401" in log() and "points to" in log(), "it is refused", 10
        )
        self.endpoint.plan = lambda seen: None
        self.keepNotifications()
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.keepNotifications()
        self.keep("output", consumer.output)
        self.keep("check", self.checked.output)
        self.keepFiles(consumer)
        bodies = [seen.body for seen in self.endpoint.seen]
        self.keep("requests", json.dumps(bodies))
        self.assertNotIn(b"Unhandled", b"".join(self.shown.values()))

    def put(self, **more: Any) -> None:
        """
        Queue a task that fails, and one that does not.
        """
        for fails in (True, False):
            payload = {"payload": SECRETS["payload"], "result": SECRETS["result"]}
            self.queue.put({**payload, "fails": fails, **more})

    def assertHidden(self) -> None:
        """
        No secret was shown, and every place where one might be was looked at.
        """
        ours = set(SECRETS) - {"payload", "result"}
        self.assertFree(ours)
        self.assertFree({"payload", "result"}, but="requests")
        self.assertIn(b"STOPPING", self.shown["notifications"])
        self.assertIn(b"Stopped", self.shown[self.log])
        self.assertIn(b"ok: ", self.shown["check"])
        self.assertIn(b"settle", self.shown["requests"])

    async def test_withCommands(self) -> None:
        """
        On a terminal, logging text, with a command for each task: neither the
        processes nor the terminal show a secret.
        """
        self.onTerminal = True
        consumer = self.begin("", exec=COMMAND, exec_output="discard")
        self.put()
        await self.until(lambda: children(consumer.pid), "a command runs")
        await self.steer(consumer, lambda: consumer.output)
        for pid in children(consumer.pid):
            self.keepProcess("a command", pid)
        # its environment is what this test has put there
        self.keep("cmdline", Path(f"/proc/{consumer.pid}/cmdline").read_bytes())
        await self.end(consumer, lambda: consumer.output)
        self.assertHidden()

    async def test_withProcesses(self) -> None:
        """
        As C{-n} with a file for its log, logging JSON, with processes for the tasks:
        neither they nor the files show a secret of the consumer's.
        """
        consumer = self.begin(
            "", "-n", "--pidfile=here.pid", "--logfile=here.log",
            python="handlers.work", run_in="process", log_format="json",
        )  # fmt: skip
        log, self.log = consumer.directory / "here.log", "file here.log"
        self.put()
        await self.until(lambda: children(consumer.pid), "a process runs")
        await self.steer(consumer, log.read_text)
        self.keep("pid file", (consumer.directory / "here.pid").read_bytes())
        for pid in children(consumer.pid):
            self.keepProcess("a worker process", pid)
        await self.end(consumer, log.read_text)
        # what the callable of the operator's may need is in its environment
        name = "environ of a worker process"
        environ = self.shown[name]
        self.assertIn(SECRETS["variable"].encode(), environ)
        self.shown[name] = environ.replace(SECRETS["variable"].encode(), b"")
        self.assertHidden()

    async def test_withAnApplication(self) -> None:
        """
        With a web application that quotes the URL that it was posted to, and one whose
        readiness is asked for: neither URL's query is shown.
        """
        webapp = WebApp(self.reactor, health=503)
        self.addCleanup(webapp.goDown)
        webapp.goUp()
        consumer = self.begin(
            f"forward = '{webapp.url}/tasks?key={SECRETS['form']}'\n"
            f"forward-wait-for = '{webapp.url}/health?key={SECRETS['probe']}'\n",
            log_format="json",
        )
        await self.until(lambda: "Waiting for" in consumer.output, "it waits")
        webapp.health = 200
        said = f"no route to /tasks?key={SECRETS['form']}"
        self.put(**answering(404, said))
        self.put(**answering(302, Location=f"/else?key={SECRETS['form']}"))
        await self.until(lambda: "404" in consumer.output, "a task has failed")
        await self.steer(consumer, lambda: consumer.output)
        self.put(**answering(404, said, seconds=2))
        await self.until(lambda: webapp.running, "a task runs")
        await self.end(consumer, lambda: consumer.output)
        self.assertHidden()


class QueueSecretTests(QueueCase, Hunt):
    """
    An embedded queue with a token.
    """

    async def test_showsNoToken(self) -> None:
        """
        Neither the token that is right nor one that is wrong is in what the queue or a
        client of the command line shows.
        """
        token = self.directory / "token"
        token.write_text(SECRETS["token"])
        queue = await self.serve(token_file=token, log_level="debug")
        wrong = self.client(queue, token=SECRETS["next token"])
        right = self.client(queue, token=SECRETS["token"])
        for path in ("", f"/tasks/{SECRETS['token']}", "/failed?limit=x"):
            self.keep("answers", (await wrong.ask("GET", path)).body)
        await right.enqueue({"payload": 1})
        token.write_text(SECRETS["next token"])
        answer = await wrong.ask("GET", "")
        self.assertEqual(answer.status, 200)
        queue.signal("USR2")
        await self.until(lambda: "State: " in queue.output, "it shows its state")
        self.keepProcess("the queue", queue.pid)
        await self.stop(queue)
        self.keep("output", queue.output)
        self.assertFree(["token", "next token"])


class MistakeTests(Hunt):
    """
    A secret that is given where none may be.
    """

    async def test_areNotRepeated(self) -> None:
        """
        The line that refuses an option does not show what may be a secret.
        """
        mistake, password = SECRETS["mistake"], SECRETS["password"]
        url = f"http://me:{password}@h/"
        usual = ["--url=http://127.0.0.1:1", "--limit=1", "--exec=true"]
        rows: list[tuple[list[str], dict[str, str]]] = [
            ([*usual, f"--token={mistake}"], {}),
            ([*usual, "--token", mistake], {}),
            ([*usual[1:], "--url", url], {}),
            ([*usual[:2], "--forward", url], {}),
            (usual[1:], {"CONSUMER_URL": url}),
            ([*usual, f"--limit=1?key={mistake}@"], {}),
            ([*usual, f"--token-file=TOKEN={mistake}"], {}),
            ([*usual, "--exec-env", f"KEY={mistake}"], {}),
        ]
        for words, environment in rows:
            self.spawn(["-n", "--pidfile=", "consumer", *words], environment, {})
        for process, row in zip(self.processes, rows, strict=True):
            await self.untilEnded(process)
            self.assertTrue(process.output.startswith("consumer: "), process.output)
            self.keep(f"refusal of {row}", process.output)
        self.assertFree(["mistake", "password"])
