"""
Who may use a C{twistd taskqueue}, and when it refuses to start: over real HTTP, and by
what a real process says and leaves behind.

Promise 9: the token is in no log, no process list and no environment.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from socket import socket

from tests.acceptance.embedded import LOOPBACK, QueueCase, look
from tests.acceptance.handlers import returning
from tests.acceptance.twistd import CHECKOUT, TWISTD, Twistd

OLD, NEW = "old-token-7f3a9c", "new-token-b81e44"

EVERYWHERE = ["tcp:0", "tcp:0:interface=", "tcp:0:interface=0.0.0.0"]


class RequestTests(QueueCase):
    """
    Requests that are refused for what their head says.
    """

    async def test_refusesOtherHosts(self) -> None:
        """
        On loopback only the queue's own names are taken, so that no name that was made
        to lead there does.
        """
        client = self.client(await self.serve())
        for host in ("127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:8321"):
            answer = await client.ask("GET", headers={"Host": host})
            self.assertEqual(answer.status, 200, host)
        for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil", ""):
            answer = await client.ask("GET", headers={"Host": host})
            self.assertEqual(answer.status, 421, host)
            self.assertIn("localhost", answer.json["error"])

    async def test_refusesOtherOrigins(self) -> None:
        """
        A web page of another origin may neither read nor write, and none is told that
        it may.
        """
        client = self.client(await self.serve())
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            for method, body in (("GET", None), ("POST", {"payload": 1})):
                answer = await client.ask(method, "", body, headers)
                self.assertEqual(answer.status, 403, headers)
                self.assertIn("origin", answer.json["error"])
                allowing = "Access-Control-Allow-Origin"
                self.assertFalse(answer.headers.hasHeader(allowing))
        preflight = await client.ask(
            "OPTIONS", headers={"Origin": "http://evil.example"}
        )
        self.assertEqual(preflight.status, 403)
        own = client.url.removesuffix("/tasks")
        answer = await client.ask("GET", headers={"Origin": own})
        self.assertEqual(answer.json["ready"], 0)


class TokenTests(QueueCase):
    """
    C{--token-file}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.tokenFile = self.directory / "token"
        self.tokenFile.write_text(f"{OLD}\n")

    async def test_needsToken(self) -> None:
        """
        Nothing is done without the token, or with a wrong one; a token that is replaced
        in the file counts from then on, and the old one no longer does. Where the file
        is gone the last one counts on.
        """
        queue = await self.serve(token_file=self.tokenFile)
        client = self.client(queue)
        for token in (None, "", NEW, OLD[:-1], OLD + "x", f"{OLD} x"):
            client.token = token
            for method, path, body in (
                ("GET", "", None),
                ("POST", "", {"payload": 1}),
                ("POST", "/claim", {}),
                ("POST", "/settle", {"settle": []}),
                ("DELETE", "/claim/a", None),
                ("GET", "/nowhere", None),
            ):
                answer = await client.ask(method, path, body)
                self.assertEqual(answer.status, 401, (token, method, path))
                challenge = answer.headers.getRawHeaders("WWW-Authenticate")
                self.assertEqual(challenge, ["Bearer"])
                self.assertIn("'Bearer TOKEN'", answer.json["error"])
        client.token = OLD
        self.assertEqual((await client.counts())["ready"], 0)
        self.replaceToken()
        self.assertEqual((await client.ask("GET")).status, 401)
        client.token = NEW
        self.assertEqual((await client.ask("GET")).status, 200)
        self.tokenFile.unlink()
        self.assertEqual((await client.ask("GET")).status, 200)
        client.token = OLD
        self.assertEqual((await client.ask("GET")).status, 401)
        self.assertIn("token", queue.output)

    async def test_servesOthersWithToken(self) -> None:
        """
        Promise 9: with a token the queue listens for other machines, by whatever name
        they call it; the consumer sends the token, and neither shows it to anybody.
        """
        queue = await self.serve(
            listen="tcp:0:interface=0.0.0.0", token_file=self.tokenFile
        )
        self.assertIn("http://0.0.0.0:", queue.output)
        client = self.client(queue, token=OLD)
        client.url = client.url.replace("0.0.0.0", "127.0.0.1")
        answer = await client.ask("GET", headers={"Host": "queue.example"})
        self.assertEqual(answer.status, 200)
        consumer = self.start(url=client.url, token_file=self.tokenFile)
        await client.enqueue({"payload": returning(1)})
        await self.untilCounts(client, completed=1)
        client.token = NEW
        await client.ask("GET")
        self.assertNotShown(queue, OLD, NEW)
        self.assertNotShown(consumer, OLD, NEW)
        with closing(sqlite3.connect(self.file)) as connection:
            self.assertNotIn(OLD, "".join(connection.iterdump()))

    async def test_localNeedsToken(self) -> None:
        """
        C{--local} wants the token from those who come by HTTP, too.
        """
        consumer = await self.consumeLocal(token_file=self.tokenFile)
        client = self.client(consumer)
        self.assertEqual((await client.ask("POST", body={"payload": 1})).status, 401)
        client.token = OLD
        await client.enqueue({"payload": returning(1)})
        await self.untilCounts(client, completed=1)
        self.assertNotShown(consumer, OLD)

    def replaceToken(self) -> None:
        """
        Put another token in the place of the old one, as is right: all at once.
        """
        other = self.directory / "other"
        other.write_text(NEW)
        other.replace(self.tokenFile)

    def assertNotShown(self, process: Twistd, *tokens: str) -> None:
        """
        Fail if a token is in a log, the list of processes or an environment.
        """
        for token in tokens:
            self.assertNotIn(token, process.output)
            for shown in ("cmdline", "environ"):
                text = Path(f"/proc/{process.pid}/{shown}").read_bytes()
                self.assertNotIn(token.encode(), text)


class RefusingTests(QueueCase):
    """
    A queue that does not start says why in one line on standard error, ends with status
    1, and leaves everything as it was.
    """

    def refused(self, *words: str, command: str = "taskqueue") -> str:
        """
        Start a C{twistd} that is to refuse, and give its line.
        """
        ended = subprocess.run(
            [TWISTD, "-n", "--pidfile=", command, *words],
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
            timeout=30,
            check=False,
        )
        self.assertEqual(ended.returncode, 1)
        [line] = ended.stderr.splitlines()
        self.assertTrue(line.startswith(f"{command}: "), line)
        self.assertNotIn("Traceback", ended.stdout)
        self.assertNotIn("Serving", ended.stdout)
        return line

    def refusedFile(self, file: Path) -> str:
        """
        Start one on a file that is to be left as it is, and give its line.
        """
        before = self.contents()
        line = self.refused(f"--db={file}", f"--listen={LOOPBACK.format(0)}")
        self.assertIn("--db", line)
        self.assertEqual(self.contents(), before)
        return line

    def contents(self) -> dict[str, bytes]:
        """
        What is in the directory's files.  What SQLite shares between processes, and a
        log with nothing in it, do not count.
        """
        found = {
            path.name: path.read_bytes()
            for path in self.directory.iterdir()
            if path.is_file() and not path.name.endswith("-shm")
        }
        return {name: content for name, content in found.items() if content}

    def test_refusesOthersWithoutToken(self) -> None:
        """
        Where other machines could connect a token is required at the start.
        """
        for listen in EVERYWHERE:
            line = self.refused("--db=new.sqlite", f"--listen={listen}")
            self.assertIn("0.0.0.0", line)
            self.assertIn("--token-file", line)
        line = self.refused("--db=new.sqlite", r"--listen=tcp6:0:interface=\:\:")
        self.assertIn("::", line)
        options = ["--limit=1", "--python=os.getcwd", "--local=new.sqlite"]
        line = self.refused(*options, "--listen=tcp:0", command="consumer")
        self.assertIn("--token-file", line)
        self.assertFalse((self.directory / "new.sqlite").exists())

    def test_refusesPortInUse(self) -> None:
        """
        A port that another program has is refused in one line.
        """
        with socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            listen = LOOPBACK.format(port)
            line = self.refused("--db=new.sqlite", f"--listen={listen}")
            self.assertIn(str(port), line)
            self.assertIn("in use", line)
            options = ["--limit=1", "--python=os.getcwd", "--local=new.sqlite"]
            line = self.refused(*options, f"--listen={listen}", command="consumer")
            self.assertIn("in use", line)
        self.assertFalse((self.directory / "new.sqlite").exists())

    async def test_refusesFileInUse(self) -> None:
        """
        A file that another process works on is refused, by whatever path, and that
        process goes on.
        """
        queue = await self.serve()
        client = self.client(queue)
        await client.enqueue({"payload": 1})
        link = self.directory / "link"
        link.symlink_to(self.file)
        for path in (self.file, link):
            line = self.refusedFile(path)
            self.assertIn(f"is in use by another process (pid {queue.pid})", line)
        options = ["--limit=1", "--python=os.getcwd", f"--local={self.file}"]
        line = self.refused(*options, command="consumer")
        self.assertIn("another process", line)
        self.assertEqual((await client.counts())["ready"], 1)
        await queue.kill()
        # the lock has ended with its process
        await self.serve()

    async def test_refusesOtherFiles(self) -> None:
        """
        A file that is damaged, of another program, of a newer version, or no database
        at all is refused.
        """
        queue = await self.serve()
        payloads = ({"payload": "x" * 5000} for _ in range(100))
        await self.client(queue).enqueue(*payloads)
        await self.stop(queue)

        damaged = self.directory / "damaged"
        shutil.copy(self.file, damaged)
        with damaged.open("r+b") as stream:
            for page in range(2, 40):
                stream.seek(page * 4096)
                stream.write(b"\x5a" * 2048)
        self.assertIn("damaged", self.refusedFile(damaged))

        cut = self.directory / "cut"
        shutil.copy(self.file, cut)
        os.truncate(cut, cut.stat().st_size // 2)
        self.assertIn("damaged", self.refusedFile(cut))

        newer = self.directory / "newer"
        shutil.copy(self.file, newer)
        look(newer, "PRAGMA user_version = 1000")
        self.assertIn("newer", self.refusedFile(newer))

        foreign = self.directory / "foreign"
        look(foreign, "CREATE TABLE tasks (number)")
        self.assertIn("other program", self.refusedFile(foreign))

        text = self.directory / "text"
        text.write_text("tasks = 1\n" * 1000)
        self.assertIn("no SQLite database", self.refusedFile(text))

        self.assertIn("no regular file", self.refusedFile(self.directory))
        self.assertIn("directory", self.refusedFile(self.directory / "no" / "such"))

    async def test_refusesAsDaemon(self) -> None:
        """
        As a daemon the queue says why it does not start in its log file and, in one
        line, where it was started, and leaves no pid file behind.
        """
        words = ["--pidfile=here.pid", "--logfile=here.log", "taskqueue"]
        started = self.spawn([*words, "--db=here.sqlite", "--listen=tcp:0"], {}, {})
        await self.untilEnded(started)
        assert started.ending is not None
        self.assertEqual(started.ending.status, 1)
        self.assertIn("it would listen on 0.0.0.0", started.errors)
        log = (started.directory / "here.log").read_text()
        self.assertIn("without a token", log)
        self.assertNotIn("Traceback", log)
        self.assertFalse((started.directory / "here.sqlite").exists())
        self.assertFalse((started.directory / "here.pid").exists())
