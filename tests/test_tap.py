"""
The command line of C{twistd consumer}, and what it makes of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from unittest import TestCase as PlainTestCase

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.option import CONFIG
from myconsumer.options import OPTIONS
from myconsumer.tap import Options

NEEDED = ["--url", "http://localhost:1/", "--limit", "2", "--python", "os.getcwd"]


def parse(arguments: Sequence[str]) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


class TapCase(SynchronousTestCase):
    """
    Keeps what parsing changes in this process.
    """

    def setUp(self) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CONSUMER_")}
        self.patch(os, "environ", clean)
        self.patch(sys, "path", list(sys.path))

    def refused(self, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            parse(arguments)
        line = caught.exception.code
        # a text goes to standard error, and makes the status 1
        assert isinstance(line, str)
        self.assertEqual(len(line.splitlines()), 1, line)
        self.assertTrue(line.startswith("consumer: "), line)
        return line.removeprefix("consumer: ")


class OptionsTests(TapCase):
    """
    L{Options}.
    """

    def test_givesEveryOption(self) -> None:
        """
        Every option is there by its long name, whether it was given or not.
        """
        options = parse([*NEEDED, "--wait=3", "--until-empty"])
        self.assertEqual(set(options), {option.name for option in OPTIONS})
        self.assertEqual(options["wait"], 3.0)
        self.assertIs(options["until-empty"], True)
        self.assertEqual(options["python"], ("os.getcwd", os.getcwd))
        self.assertEqual(options["lease"], 60)

    def test_lastOneCounts(self) -> None:
        """
        Of an option that is given twice the last counts.
        """
        self.assertEqual(parse([*NEEDED, "--limit", "7"])["limit"], 7)

    def test_looksAtTheEnvironment(self) -> None:
        """
        An option may be given, and be wrong, in the environment.
        """
        os.environ["CONSUMER_WAIT"] = "4"
        self.assertEqual(parse(NEEDED)["wait"], 4.0)
        os.environ["CONSUMER_WAIT"] = "x"
        self.assertIn("CONSUMER_WAIT takes a number", self.refused(*NEEDED))

    def test_refusesAWrongValue(self) -> None:
        """
        A wrong value is refused in one line.
        """
        self.assertEqual(
            self.refused(*NEEDED, "--limit", "0"),
            "--limit takes a whole number from 1 to 1000000, not '0'",
        )

    def test_namesWhatIsMissing(self) -> None:
        """
        What is missing is named in one line.
        """
        self.assertIn("--url is needed", self.refused())
        self.assertIn("--limit is needed", self.refused(*NEEDED[:2], *NEEDED[4:]))
        self.assertIn(
            "one of --python, --exec and --forward is needed",
            self.refused(*NEEDED[:4]),
        )

    def test_takesOneHandlersOptions(self) -> None:
        """
        The options of one handler are taken together; those of two handlers are not.
        """
        base = NEEDED[:4]
        options = parse([*base, "--exec", "cat -u", "--kill-after", "2"])
        self.assertEqual((options["exec"], options["kill-after"]), (["cat", "-u"], 2))
        self.assertIsNone(options["python"])
        options = parse([*base, "--forward=http://localhost:2/", "--rate=90/m"])
        self.assertEqual(options["rate"], 1.5)
        self.assertEqual(
            self.refused(*NEEDED, "--exec", "cat"),
            "--python and --exec exclude each other",
        )
        os.environ["CONSUMER_RUN_IN"] = "thread"
        self.assertEqual(parse(NEEDED)["run-in"], "thread")
        self.assertEqual(
            self.refused(*base, "--exec", "cat"),
            "CONSUMER_RUN_IN goes with --python, which is not given",
        )

    def test_refusesUnknownOptions(self) -> None:
        """
        Options that are none, or not yet, are refused by name.
        """
        later = ["locals", "db", "state", "retries", "execute", "rates"]
        for option in (*(f"--{name}" for name in later), "-x", "--lim-it=4"):
            line = self.refused(*NEEDED, option, "4")
            self.assertIn(f"option {option.split('=')[0]} not recognized", line)

    def test_refusesBeginningsOfNames(self) -> None:
        """
        The beginning of a name is refused with the name that is meant, and what was
        given for it is not shown; a value that looks like one is a value.
        """
        for word, meant in (
            ("--token=s3cret", "did you mean --token-file? "),
            ("--toke=s3cret", ""),
            ("--p", ""),
            ("--limt=4", "did you mean --limit? "),
            ("--until", "did you mean --until-empty? "),
            ("--check=s3cret", "did you mean --check-config? "),
        ):
            line = self.refused(*NEEDED, word, "s3cret")
            name = word.partition("=")[0]
            self.assertIn(f"option {name} not recognized; {meant}--help lists", line)
            self.assertNotIn("s3cret", line)
        options = parse([*NEEDED[:4], "--exec", "--token=x", "--until-empty"])
        self.assertEqual(options["exec"], ["--token=x"])

    def test_refusesOptionsWithoutAValue(self) -> None:
        """
        An option without its argument is refused with what it takes.
        """
        for option in (*OPTIONS, CONFIG):
            if option.name != "until-empty":
                self.assertEqual(
                    self.refused(*NEEDED, f"--{option.name}"),
                    f"--{option.name} takes {option.takes}, and nothing was given",
                )

    def test_refusesAValueForAFlag(self) -> None:
        """
        A flag takes no value on the command line.
        """
        self.assertEqual(
            self.refused(*NEEDED, "--until-empty=false"),
            "--until-empty takes no value on the command line",
        )

    def test_refusesArguments(self) -> None:
        """
        Arguments are refused.
        """
        for surplus in (["a"], ["a", "b"], ["--", "a"]):
            self.assertIn(
                "'a' is one argument too many", self.refused(*NEEDED, *surplus)
            )

    def test_showsNoSecrets(self) -> None:
        """
        A password is not shown, wherever on the command line it is.
        """
        for arguments in (
            ["http://user:secret@host/"],
            ["--url=http://user:secret@host/"],
            ["--ur:http://user:secret@host/"],
            ["-uhttp://user:secret@host/"],
            ["--until-empty=http://user:secret@host/"],
            ["--limit=http://user:secret@host/"],
            ["--http://user:secret@host/", "x"],
            ["--forward=http://user:secret@host/"],
            ["--forward-wait-for=http://user:secret@host/"],
            ["--exec=curl http://user:secret@host/"],
            ["--exec=curl 'http://user:secret@host/"],
            ["--exec-env=http://user:secret@host/"],
            ["--exec-env=TOKEN=secret"],
            ["--rate=http://user:secret@host/"],
            ["--run-in=http://user:secret@host/"],
        ):
            self.assertNotIn("secret", self.refused(*NEEDED, *arguments))

    def test_importsFromHere(self) -> None:
        """
        A callable may be in the current directory, as with C{python -m}.
        """
        with TemporaryDirectory() as folder:
            self.addCleanup(os.chdir, os.getcwd())
            self.addCleanup(sys.modules.pop, "tap_worker", None)
            os.chdir(folder)
            Path("tap_worker.py").write_text("def work(task): return task\n")
            options = parse([*NEEDED, "--python", "tap_worker.work"])
            self.assertEqual(options["python"].name, "tap_worker.work")
            self.assertEqual(options["python"].function(5), 5)
            self.assertEqual(sys.path[0], os.getcwd())
            parse([*NEEDED, "--python", "tap_worker.work"])
            self.assertEqual(sys.path.count(os.getcwd()), 1)
            os.chdir("/")

    def test_helpShowsEverything(self) -> None:
        """
        The help has every option with its default, the environment and the file.
        """
        output = StringIO()
        with redirect_stdout(output), self.assertRaises(SystemExit) as caught:
            parse(["--help"])
        self.assertEqual(caught.exception.code, 0)
        text = " ".join(output.getvalue().split())
        self.assertIn(
            "(--url URL | --local FILE) --limit N "
            "(--python NAME | --exec COMMAND | --forward URL) [options]",
            text,
        )
        for option in (*OPTIONS, CONFIG):
            self.assertIn(f" --{option.name}", text)
            self.assertIn(option.help, text)
            if option.default:
                self.assertIn(f"{option.help} [default: {option.default}]", text)
        self.assertIn("CONSUMER_LIMIT", text)
        self.assertIn("TOML", text)

    def test_helpHasGroups(self) -> None:
        """
        Each option is in the help once, under the title of its group and with what
        stands for its value; the protocols, the exit statuses and examples follow, and
        no line is wider than 80 columns.
        """
        text = str(Options())
        for option in (*OPTIONS, CONFIG):
            rows = re.findall(rf"^  --{option.name}\b(?!-).*", text, re.MULTILINE)
            self.assertEqual(len(rows), 1, option.name)
            value = "" if option.isFlag else f" {option.placeholder}"
            self.assertTrue(rows[0].startswith(f"  --{option.name}{value}"), rows)
        for name in ("check-config", "version", "help"):
            self.assertEqual(len(re.findall(rf"^  --{name} ", text, re.MULTILINE)), 1)
        self.assertEqual(
            re.findall(r"^(\S.*):$", text, re.MULTILINE),
            [
                "Where tasks come from",
                "What is done with them",
                "Pace",
                "Stopping",
                "The embedded queue",
                "Status",
                "Running",
                "Protocols",
                "Exit status",
                "Examples",
            ],
        )
        self.assertRegex(text, r"\n  plain +any URL that returns JSON")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_everyValueHasAName(self) -> None:
        """
        What stands for a value in the help says what kind of value it is.
        """
        for option in (*OPTIONS, CONFIG):
            if not option.isFlag:
                self.assertNotEqual(option.placeholder, "VALUE", option.name)

    def test_showsTheVersion(self) -> None:
        """
        The version is this package's, not Twisted's.
        """
        output = StringIO()
        with redirect_stdout(output), self.assertRaises(SystemExit) as caught:
            parse(["--version"])
        self.assertEqual(caught.exception.code, 0)
        self.assertRegex(output.getvalue(), r"^myconsumer \d+\.\d+")


class AnyCommandLineTests(PlainTestCase):
    """
    Whatever is on the command line, it is taken or refused in one line.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from([f"--{o.name}" for o in (*OPTIONS, CONFIG)]),
                st.sampled_from(["--", "-", "--limit=", "--p", "--=", "-n", "1", "x"]),
                st.text(st.characters(exclude_categories=[])),
            ).filter(lambda word: not word.startswith(("--h", "--v"))),
            max_size=5,
        )
    )
    def test_takesOrRefusesAnyWords(self, words: list[str]) -> None:
        """
        Any words after those that are needed are taken, or refused in one line.
        """
        try:
            options = parse([*NEEDED, *words])
        except SystemExit as refused:
            line = str(refused.code)
            self.assertTrue(line.startswith("consumer: "))
            self.assertEqual(len(line.splitlines()), 1)
            self.assertTrue(line.isprintable())
        else:
            self.assertEqual(set(options), {option.name for option in OPTIONS})


#: What makes the service of a command line, in a process of its own.
MAKE = """
    import os, threading
    from myconsumer.service import ConsumerService
    from myconsumer.tap import Options, makeService
    from twisted.internet import reactor

    options = Options()
    options.parseOptions({words!r})
    readers = reactor.getReaders()
    descriptors = os.listdir("/proc/self/fd")
    service = makeService(options)
    assert isinstance(service, ConsumerService)
    assert not service.running
    assert reactor.getDelayedCalls() == []
    assert reactor.getReaders() == readers
    assert threading.active_count() == 1
    assert os.listdir("/proc/self/fd") == descriptors
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        raise AssertionError("there is a child")
    handler = service._handler
    children = [type(child).__name__ for child in service]
    assert not any(child.running for child in service)
    print(type(handler).__name__, *children)
"""

BASE = NEEDED[:4]


class MakeServiceTests(PlainTestCase):
    """
    L{makeService<myconsumer.tap.makeService>}, on a reactor of its own.
    """

    def make(self, *words: str, more: str = "") -> tuple[str, str, int]:
        """
        Make the service of a command line, and then do some more.

        @return: What is printed, as output and as errors, and the status.
        """
        script = dedent(MAKE).format(words=[*words]) + dedent(more)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CONSUMER_")}
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            capture_output=True,
            env=clean,
            text=True,
            timeout=30,
            check=False,
        )
        return ended.stdout, ended.stderr, ended.returncode

    def test_makesEachHandler(self) -> None:
        """
        For each handler the service is made, and nothing is opened or begun yet:
        the process may fork.  A handler that is a service becomes its child.
        """
        forward = ["--forward", "http://localhost:2/"]
        for words, made in (
            (["--python", "os.getcwd"], "PythonHandler"),
            (
                ["--python", "os.getcwd", "--run-in", "thread"],
                "ThreadHandler ThreadHandler",
            ),
            (
                ["--python", "os.getcwd", "--run-in", "process"],
                "ProcessHandler ProcessHandler",
            ),
            (["--exec", "cat"], "CommandHandler CommandHandler"),
            (forward, "ForwardHandler ForwardHandler"),
            (
                [*forward, "--forward-wait-for", "http://localhost:2/ready"],
                "ForwardHandler ForwardHandler",
            ),
        ):
            with self.subTest(words):
                output, errors, status = self.make(*BASE, *words)
                self.assertEqual((output, errors, status), (f"{made}\n", "", 0))

    def test_passesOptionsOn(self) -> None:
        """
        What the options say is what service and handler are told.
        """
        output, errors, status = self.make(
            *BASE, "--exec", "cat -u", "--exec-env", "A,B", "--kill-after", "2.5",
            "--rate", "90/m", "--timeout", "7",
            more="""
                assert handler._words[1:] == [handler._words[1], "-u"]
                assert handler._missing == ["A", "B"]
                assert handler._killAfter == 2.5
                assert service.claiming.rate == 1.5
                assert service.settings["timeout"] == 7
            """,
        )  # fmt: skip
        self.assertEqual((errors, status), ("", 0), output)

    def test_waitsForTheApplication(self) -> None:
        """
        With C{--forward-wait-for} claiming is paused from the start; a request
        without an answer has the application asked for at once.
        """
        _, errors, status = self.make(
            *BASE, "--forward", "http://localhost:2/",
            "--forward-wait-for", "http://localhost:2/ready",
            more="""
                [waiting] = handler
                assert handler.onNoAnswer == waiting.check
                paused = []
                service.pause, service.resume = paused.append, paused.remove
                service.startService()
                assert paused == ["http://localhost:2/ready does not answer"]
            """,
        )  # fmt: skip
        self.assertEqual((errors, status), ("", 0))

    def test_handlerRefuses(self) -> None:
        """
        What a handler refuses is one line on standard error, with status 1.
        """
        for words, said in (
            (["--exec", "/no/such/program -x"], "--exec"),
            (["--exec", "''"], "--exec"),
            (["--exec", "cat", "--exec-env", "CONSUMER_URL"], "--exec-env"),
            (
                ["--python", "asyncio.sleep", "--run-in", "thread"],
                "--run-in thread",
            ),
            (
                ["--python", "asyncio.sleep", "--run-in", "process"],
                "--run-in process",
            ),
        ):
            with self.subTest(words):
                output, errors, status = self.make(*BASE, *words)
                self.assertEqual((output, status), ("", 1))
                [line] = errors.splitlines()
                self.assertTrue(line.startswith(f"consumer: {said} "), line)

    def test_showsNoSecretOfACommand(self) -> None:
        """
        A command that cannot be started is refused without what may be a secret.
        """
        for command in ("http://user:secret@host/", "/no/such 'Token: secret'"):
            _, errors, status = self.make(*BASE, "--exec", command)
            self.assertEqual(status, 1)
            self.assertNotIn("secret", errors)
