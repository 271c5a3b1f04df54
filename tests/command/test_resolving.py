"""
What the options come to, wherever they are given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase as PlainTestCase

from hyperlink import URL
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.option import CONFIG, LONGEST_CONFIG
from myconsumer.command.refusal import BadOption
from myconsumer.command.resolving import resolve
from myconsumer.command.setting import Setting
from myconsumer.handlers.callables import NamedCallable
from myconsumer.options import COMMAND, OPTIONS
from tests.test_text import BAD_URLS_WITH_SECRETS

NEEDED = {"url": "http://localhost:1/queue", "limit": "2", "python": "os.getcwd"}

HANDLERS = {"python": "os.getcwd", "exec": "cat -u", "forward": "http://localhost:2/"}

# the options that have a meaning with one handler only
GOES_WITH = {
    "run-in": "python",
    "exec-env": "exec",
    "exec-output": "exec",
    "kill-after": "exec",
    "forward-wait-for": "forward",
}

# those of the embedded queue, which takes the place of a URL
EMBEDDED = ("local", "listen", "keep", "sync")

COUNT = "a whole number from"
SECONDS = "a number of seconds"
A_URL = "an http:// or https:// URL without user name and password"


def neededFor(name: str) -> dict[str, str]:
    handler = GOES_WITH.get(name, "python")
    needed = {key: NEEDED[key] for key in ("url", "limit")}
    if name in EMBEDDED:
        needed = {"local": "queue.sqlite", "limit": NEEDED["limit"]}
    if name not in HANDLERS:
        needed[handler] = HANDLERS[handler]
    if name in ("status-token-file", "wedged"):
        needed["status"] = "tcp:0:interface=127.0.0.1"
    needed.pop(name, None)
    return needed


# option, text that is refused, and the words that say what it takes
BAD = [
    *(
        ("limit", text, f"{COUNT} 1 to 1000000")
        for text in ("0", "-1", "x", "1.5", "nan", "inf", " 4", "4 ", "0x4", "1_000")
    ),
    *(
        ("limit", text, f"{COUNT} 1 to 1000000")
        for text in ("1000001", "1e400", "9" * 30, "9" * 5000, "٤", "+4", "04", "4\n")
    ),
    *(("prefetch", text, f"{COUNT} 0 to 1000000") for text in ("-1", "x", "0.5")),
    *(("pollers", text, f"{COUNT} 1 to 1000000") for text in ("0", "x", "1.5")),
    *(("max-attempts", text, f"{COUNT} 0 to 1000000") for text in ("-1", "x", "2.5")),
    *(
        ("wait", text, f"{SECONDS} from 0 to 3600")
        for text in ("-1", "nan", "inf", "-inf", "1e400", "3600.1", "x", "1s", "1,5")
    ),
    *(
        ("lease", text, f"{SECONDS} above 0, up to 31536000")
        for text in ("0", "-1", "nan", "inf", "x", "1e-400", "31536001")
    ),
    *(
        (name, text, f"{SECONDS} from 0 to 31536000")
        for name in ("interval", "timeout", "drain")
        for text in ("-1", "nan", "inf", "x", "31536001", "60 s")
    ),
    *(
        (name, text, A_URL)
        for name in ("url", "forward", "forward-wait-for")
        for text in ("x", "ftp://host/", "http://", "http://host:x/", "localhost:8321")
    ),
    *(
        ("kill-after", text, f"{SECONDS} from 0 to 3600")
        for text in ("-1", "nan", "inf", "3600.1", "x", "5s")
    ),
    *(
        ("exec", text, "a command and its arguments")
        for text in (" ", "\t\n", "'", "sh -c 'exit 1", 'echo "a', "echo \\")
    ),
    *(
        ("run-in", text, "reactor, thread or process")
        for text in ("x", "Thread", "threads", " thread", "reactor,thread", "1")
    ),
    *(
        ("exec-env", text, "names of environment variables, separated by commas")
        for text in ("A-B", "1A", "A,,B", "A B", ",", "A;B", "A,", "\u00c4", "A\nB")
    ),
    *(
        ("rate", text, "a number per second, minute or hour, such as 5/s, 90/m")
        for text in ("0/s", "0.0/h", "5", "5/d", "-1/s", "+1/s", "1000001/s", "1e3/s")
    ),
    *(
        ("rate", text, "a number per second, minute or hour, such as 5/s, 90/m")
        for text in ("/s", "5/", "5 /s", "5/S", "5/s\n", "nan/s", "inf/s", ".5/s")
    ),
    *(
        ("rate", text, "a number per second, minute or hour, such as 5/s, 90/m")
        for text in ("5./s", "5/s/s", "\u0664/s", "9" * 400 + "/s", "1/ms", "5/min")
    ),
    *(
        ("python", text, "the dotted name of a callable")
        for text in ("x", "os.no_such", "no_such.x", "os.sep", "a b.c", "os..x")
    ),
    *(
        ("local", text, "the path of a file for the embedded queue")
        for text in ("/", "/no/such/directory/x", "/dev/null", __file__, "\0")
    ),
    *(
        ("listen", text, "a server endpoint, such as tcp:8321:interface=127.0.0.1")
        for text in ("8321", "udp:1", "tcp", "tcp:x", "tcp:1:nothing=x", "carrier:1")
    ),
    *(
        ("keep", text, "a time, such as 12h or 7d")
        for text in ("7", "x", "-1d", "7w", "366d", "1e3d", "7 d", "d", "7d\n")
    ),
    *(("sync", text, "normal or full") for text in ("x", "FULL", "off", "1")),
    *(("protocol", text, "the name of a protocol") for text in ("x", "JSON", "sqs2")),
    ("token-file", "./no/such/file", "the path of a file that holds a bearer token"),
    ("token-file", "/", "the path of a file that holds a bearer token"),
    ("config", "/no/such/file", "the path of a TOML file"),
    ("config", "/", "the path of a TOML file"),
    ("config", "\0", "the path of a TOML file"),
]


def valuesOf(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: setting.value for name, setting in settings.items()}


class ResolvingCase(SynchronousTestCase):
    """
    What these tests have in common.
    """

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        self.path = str(Path(folder.name).resolve() / "options.toml")

    def resolve(
        self,
        arguments: Mapping[str, Any] = {},
        environ: Mapping[str, str] = {},
        file: str | None = None,
    ) -> dict[str, Any]:
        given = dict(arguments)
        if file is not None:
            Path(self.path).write_text(file, encoding="utf-8")
            given["config"] = self.path
        return valuesOf(resolve(COMMAND, given, environ))

    def refused(self, *args: Any, **kwargs: Any) -> str:
        with self.assertRaises(BadOption) as caught:
            self.resolve(*args, **kwargs)
        line = str(caught.exception)
        self.assertEqual(len(line.splitlines()), 1, line)
        self.assertLess(len(line), 1000)
        self.assertTrue(line.isprintable(), line)
        return line


class BadValueTests(ResolvingCase):
    """
    A wrong value is refused in one line that says where, what, and what is taken.
    """

    def test_namesTheOption(self) -> None:
        """
        On the command line a value is called by its option.
        """
        for name, text, takes in BAD:
            with self.subTest(name=name, text=text[:20]):
                line = self.refused(neededFor(name) | {name: text})
                self.assertTrue(line.startswith(f"--{name} takes {takes}"), line)
                self.assertIn(f", not {repr(text)[:100]}", line)

    def test_namesTheVariable(self) -> None:
        """
        In the environment a value is called by its variable.
        """
        for name, text, takes in BAD:
            with self.subTest(name=name, text=text[:20]):
                variable = "CONSUMER_" + name.upper().replace("-", "_")
                line = self.refused(neededFor(name), {variable: text})
                self.assertTrue(line.startswith(f"{variable} takes {takes}"), line)
                self.assertIn(f", not {repr(text)[:100]}", line)

    def test_namesTheKeyAndTheFile(self) -> None:
        """
        In the file a value is called by its key and the file, and a number in quotes is
        no number.
        """
        for name, text, takes in [*BAD, ("limit", "4", f"{COUNT} 1 to 1000000")]:
            if name == "config":
                continue
            with self.subTest(name=name, text=text[:20]):
                quoted = "".join(f"\\U{ord(c):08x}" for c in text)
                line = self.refused(neededFor(name), file=f'{name} = "{quoted}"\n')
                origin = f"{name} in '{self.path}'"
                self.assertTrue(line.startswith(f"{origin} takes {takes}"), line)
                self.assertIn(f", not {repr(text)[:100]}", line)

    def test_refusesOtherTypesInTheFile(self) -> None:
        """
        In the file a value has to be of the option's own type.
        """
        for text, said in (
            ("limit = 1.0", "not 1.0"),
            ("limit = true", "not true"),
            ("limit = [4]", "not [4]"),
            ("limit = 0x" + "f" * 5000, "not a number of too many digits to show"),
            ("wait = nan", "not nan"),
            ("wait = inf", "not inf"),
            ("wait = false", "not false"),
            ("wait = 2026-11-24", "not datetime.date(2026, 11, 24)"),
            ("until-empty = 1", "not 1"),
            ('until-empty = "true"', "not 'true'"),
            ("url = 4", "not 4"),
            ("[python]\na = 1", "not {'a': 1}"),
            ("kill-after = -1", "not -1"),
            ("kill-after = true", "not true"),
            ("rate = 5", "not 5"),
            ('exec = ["cat", "-u"]', "not ['cat', '-u']"),
            ('exec-env = ["A"]', "not ['A']"),
            ("run-in = 1", "not 1"),
            ("forward = 1", "not 1"),
            ("forward-wait-for = false", "not false"),
        ):
            with self.subTest(text[:30]):
                name = text.strip("[").split(" ")[0].split("]")[0]
                line = self.refused(neededFor(name), file=text)
                self.assertTrue(line.startswith(f"{name} in '"), line)
                self.assertIn(said, line)

    def test_refusesOtherWordsForAFlag(self) -> None:
        """
        A flag in the environment takes true, false, 1, 0 and nothing else.
        """
        for text in ("yes", "no", "on", "2", "x", " true", "true\n"):
            self.assertEqual(
                self.refused(NEEDED, {"CONSUMER_UNTIL_EMPTY": text}),
                f"CONSUMER_UNTIL_EMPTY takes true, false, 1 or 0, not {text!r}",
            )

    def test_refusesWhatDoesNotCount(self) -> None:
        """
        A wrong value is refused where another value counts, too.
        """
        self.assertIn("CONSUMER_LIMIT", self.refused(NEEDED, {"CONSUMER_LIMIT": "x"}))
        self.assertIn("limit in '", self.refused(NEEDED, file='limit = "x"'))

    def test_namesWhatIsMissing(self) -> None:
        """
        An option that is needed and not given is named, with the ways to give it.
        """
        for name in ("url", "limit"):
            line = self.refused(neededFor(name))
            self.assertTrue(line.startswith(f"--{name} is needed: it takes "), line)
            self.assertIn(f"CONSUMER_{name.upper()}", line)

    def test_namesWrongBeforeMissing(self) -> None:
        """
        A wrong value is refused before a missing one.
        """
        for name, text in (("wait", "x"), ("run-in", "x"), ("kill-after", "-1")):
            self.assertIn(f"--{name} takes", self.refused({name: text}))

    def test_givesTheReason(self) -> None:
        """
        Where there is no such thing as is named, the refusal gives the reason.
        """
        self.assertEqual(
            self.refused(NEEDED | {"protocol": "sqs2"}),
            "--protocol takes the name of a protocol, not 'sqs2': "
            "known are json, plain",
        )
        self.assertEqual(
            self.refused(NEEDED | {"python": "os.no_such"}),
            "--python takes the dotted name of a callable, not 'os.no_such': "
            "os has no no_such",
        )
        for name, text, reason in (
            ("exec", "sh -c 'x", "No closing quotation"),
            ("exec", " ", "it is empty"),
            ("exec-env", "HOME, A-B", "'A-B' is no name of a variable"),
            ("rate", "0/s", "it is from once a year to 1000000/s"),
            ("rate", "5", "it lacks its unit, as in 5/s, 5/m or 5/h"),
            ("listen", "8331", "did you mean tcp:8331:interface=127.0.0.1?"),
            ("forward", "ftp://host/", ""),
        ):
            line = self.refused(neededFor(name) | {name: text})
            self.assertTrue(line.endswith(f": {reason}" if reason else ""), line)

    def test_makesOneLineOfAnything(self) -> None:
        """
        A value of any length and with any characters makes one line.
        """
        for text in ("x" * 100_000, "a\nb\r\x1b[2Jc\x85d\u2028e\0", "\udc80"):
            for name in (*NEEDED, "forward", "forward-wait-for", "rate", "run-in"):
                self.refused(neededFor(name) | {name: text})


class TogetherTests(ResolvingCase):
    """
    What options say of each other.
    """

    def test_namesHandlersWhereNoneIsGiven(self) -> None:
        """
        Without a handler all three are named, with what each takes.
        """
        self.assertEqual(
            self.refused({key: NEEDED[key] for key in ("url", "limit")}),
            "one of --python, --exec and --forward is needed: --python takes the "
            "dotted name of a callable, --exec takes a command and its arguments, "
            f"--forward takes {A_URL}",
        )

    def test_takesEachHandler(self) -> None:
        """
        Each handler is enough, wherever it is given, and the others have no value.
        """
        needed = {key: NEEDED[key] for key in ("url", "limit")}
        for name, text in HANDLERS.items():
            for resolved in (
                self.resolve(needed | {name: text}),
                self.resolve(needed, {f"CONSUMER_{name.upper()}": text}),
                self.resolve(needed, file=f'{name} = "{text}"'),
            ):
                given = [each for each in HANDLERS if resolved[each] is not None]
                self.assertEqual(given, [name])

    def test_refusesTwoHandlers(self) -> None:
        """
        Two handlers exclude each other, and both are called by where they were
        given: none of them counts more.
        """
        for first, second in (
            ("python", "exec"),
            ("python", "forward"),
            ("exec", "forward"),
        ):
            both = {name: HANDLERS[name] for name in (first, second)}
            needed = {key: NEEDED[key] for key in ("url", "limit")}
            self.assertEqual(
                self.refused(needed | both),
                f"--{first} and --{second} exclude each other",
            )
            variable = f"CONSUMER_{first.upper()}"
            self.assertEqual(
                self.refused(
                    needed | {second: HANDLERS[second]}, {variable: HANDLERS[first]}
                ),
                f"{variable} and --{second} exclude each other",
            )
            self.assertEqual(
                self.refused(
                    needed | {first: HANDLERS[first]},
                    file=f'{second} = "{HANDLERS[second]}"',
                ),
                f"--{first} and {second} in '{self.path}' exclude each other",
            )

    def test_refusesThreeHandlers(self) -> None:
        """
        Three handlers exclude each other, as two do.
        """
        line = self.refused(NEEDED | HANDLERS)
        self.assertIn("exclude each other", line)

    def test_takesOneHandlerTwice(self) -> None:
        """
        One handler that is given in several places is one, and the first place counts.
        """
        resolved = self.resolve(
            neededFor("exec") | {"exec": "cat 1"},
            {"CONSUMER_EXEC": "cat 2"},
            'exec = "cat 3"',
        )
        self.assertEqual(resolved["exec"], ["cat", "1"])

    def test_refusesWithoutWhatIsRequired(self) -> None:
        """
        An option of one handler is refused where that is not given, wherever it is
        given itself, and taken where that is given elsewhere.
        """
        values = {
            "run-in": "thread",
            "exec-env": "HOME",
            "exec-output": "discard",
            "kill-after": "1",
            "forward-wait-for": "http://localhost:3/",
        }
        for name, handler in GOES_WITH.items():
            other = "exec" if handler == "python" else "python"
            needed = {key: NEEDED[key] for key in ("url", "limit")}
            with_ = needed | {handler: HANDLERS[handler]}
            without = needed | {other: HANDLERS[other]}
            variable = "CONSUMER_" + name.upper().replace("-", "_")
            text = values[name]
            value = text if name == "kill-after" else f'"{text}"'
            says = f"goes with --{handler}, which is not given"
            environ, file = {variable: text}, f"{name} = {value}"
            for line, origin in (
                (self.refused(without | {name: text}), f"--{name}"),
                (self.refused(without, environ), variable),
                (self.refused(without, file=file), f"{name} in '{self.path}'"),
                (self.refused(needed | {name: text}), f"--{name}"),
            ):
                self.assertEqual(line, f"{origin} {says}")
            found = [
                self.resolve(with_ | {name: text})[name],
                self.resolve(with_, environ)[name],
                self.resolve(with_, file=file)[name],
                self.resolve(
                    needed | {name: text},
                    {f"CONSUMER_{handler.upper()}": HANDLERS[handler]},
                )[name],
            ]
            self.assertIsNotNone(found[0])
            self.assertEqual(found, [found[0]] * 4)

    def test_refusesTypesBeforeCombinations(self) -> None:
        """
        A value of a wrong type is refused before options that do not go together.
        """
        line = self.refused(NEEDED | {"exec": "cat", "run-in": "x"})
        self.assertTrue(line.startswith("--run-in takes"), line)

    def test_showsNoValuesOfCombinations(self) -> None:
        """
        Options that do not go together are refused without their values.
        """
        secret = "http://user:secret@host/"
        for arguments in (
            NEEDED | {"forward": secret},
            NEEDED | {"forward-wait-for": secret},
            {"url": secret, "limit": "1", "exec": "curl " + secret, "python": "x.y"},
        ):
            self.assertNotIn("secret", self.refused(arguments))


class HandlerValueTests(ResolvingCase):
    """
    What the options of handlers stand for.
    """

    def test_loadsTheCallable(self) -> None:
        """
        A callable comes with its name, for a process to find it again.
        """
        named = self.resolve(NEEDED)["python"]
        self.assertIsInstance(named, NamedCallable)
        self.assertEqual(named, ("os.getcwd", os.getcwd))

    def test_splitsTheCommand(self) -> None:
        """
        A command is split as a shell would, and nothing else is done to it.
        """
        for text, words in (
            ("cat", ["cat"]),
            ("a  b\tc", ["a", "b", "c"]),
            ("sh -c 'exit $TASK_ID; a'", ["sh", "-c", "exit $TASK_ID; a"]),
            ('a "b c"\\ d "" *', ["a", "b c d", "", "*"]),
            ("a # b | c > d", ["a", "#", "b", "|", "c", ">", "d"]),
        ):
            given = neededFor("exec") | {"exec": text}
            self.assertEqual(self.resolve(given)["exec"], words)

    def test_splitsNames(self) -> None:
        """
        Names of variables are separated by commas, and by spaces too.
        """
        for text, names in (
            ("HOME", ["HOME"]),
            ("A,b_2, _C ,D", ["A", "b_2", "_C", "D"]),
        ):
            given = neededFor("exec-env") | {"exec-env": text}
            self.assertEqual(self.resolve(given)["exec-env"], names)

    def test_convertsRatesToSeconds(self) -> None:
        """
        A rate is one a second, whatever it is given in.
        """
        for text, perSecond in (
            ("5/s", 5),
            ("90/m", 1.5),
            ("1000/h", 1000 / 3600),
            ("0.5/s", 0.5),
            ("1/h", 1 / 3600),
            ("1000000/s", 1e6),
            ("6000000/m", 1e5),
            ("007/s", 7),
        ):
            self.assertEqual(self.resolve(NEEDED | {"rate": text})["rate"], perSecond)

    def test_refusesTheSlowestRates(self) -> None:
        """
        A rate so slow that no timer can be set for it is refused; one a year is not.
        """
        for text in ("0." + "0" * 320 + "1/h", "0." + "0" * 200 + "1/s"):
            self.assertIn("--rate takes", self.refused(NEEDED | {"rate": text}))
        rate = self.resolve(NEEDED | {"rate": "0.00012/h"})["rate"]
        self.assertGreater(rate, 1 / 31_536_000)

    def test_parsesURLs(self) -> None:
        """
        URLs are parsed.
        """
        text = "https://localhost:2/a?b=c"
        for name in ("forward", "forward-wait-for"):
            given = neededFor(name) | {name: text}
            self.assertEqual(self.resolve(given)[name], URL.from_text(text))


class SecretTests(ResolvingCase):
    """
    What may be a password is never shown.
    """

    def test_showsNoSecretOfAnyOption(self) -> None:
        """
        A URL that is refused and may bear a secret is not shown, whatever option it
        was given for, and wherever.
        """
        names = [o.name for o in (*OPTIONS, CONFIG) if not o.isFlag]
        for text in BAD_URLS_WITH_SECRETS:
            for name in names:
                with self.subTest(name=name, text=text):
                    needed = neededFor(name)
                    if name == "exec":
                        # else it is a command, though one that is not there
                        text += "'"
                    if name == "local":
                        # else it is a file, though one with a strange name
                        text += "/x"
                    variable = "CONSUMER_" + name.upper().replace("-", "_")
                    lines = [
                        self.refused(needed | {name: text}),
                        self.refused(needed, {variable: text}),
                    ]
                    if name != "config":
                        quoted = text.replace("\n", "\\n")
                        lines += [
                            self.refused(needed, file=f'{name} = "{quoted}"'),
                            self.refused(needed, file=f'[{name}]\nx = "{quoted}"'),
                            self.refused(needed, file=f'"{quoted}" = 1'),
                        ]
                    for line in lines:
                        self.assertNotIn("secret", line)

    def test_saysWhereASecretGoes(self) -> None:
        """
        The refusal of a password says where a secret goes instead.
        """
        line = self.refused(NEEDED | {"url": "http://user:secret@host/"})
        self.assertIn("--url takes an http:// or https:// URL", line)
        self.assertIn("--token-file", line)

    def test_showsNoToken(self) -> None:
        """
        A token that is given in the place of its file is not shown; a path is, if a
        file or the folder that it begins with is there.
        """
        Path(self.path).write_text("")
        os.chdir(Path(self.path).parent)
        for token in ("s3cret", "a.s3cret.b", "/s3cret", "a/s3cret==", "s3cret\0"):
            line = self.refused(NEEDED | {"token-file": token})
            self.assertNotIn("s3cret", line)
            self.assertIn("--token-file takes the path of a file", line)
            self.assertIn("there is no such file", line)
        for path in (self.path, "options.toml", "./none", "/tmp/no/such", "."):
            line = self.refused(NEEDED | {"token-file": path})
            self.assertIn(f"not {path!r}", line)

    def test_showsNoValueOfAVariable(self) -> None:
        """
        A name of a variable that is given with its value is refused without that.
        """
        for text in ("TOKEN=secret", "HOME,TOKEN=secret", "TOKEN=secret=,A"):
            line = self.refused(neededFor("exec-env") | {"exec-env": text})
            self.assertTrue(line.startswith("--exec-env takes names of"), line)
            self.assertNotIn("secret", line)


class OrderTests(ResolvingCase):
    """
    The command line, then the environment, then the file, then the default.
    """

    def test_findsDefaults(self) -> None:
        """
        An option that is not given has its default, and what that names is found.
        """
        self.assertEqual(
            self.resolve(NEEDED),
            {
                "url": URL.from_text("http://localhost:1/queue"),
                "local": None,
                "listen": "tcp:8321:interface=127.0.0.1",
                "keep": 604_800,
                "sync": "normal",
                "limit": 2,
                "python": ("os.getcwd", os.getcwd),
                "exec": None,
                "forward": None,
                "run-in": "reactor",
                "exec-env": None,
                "exec-output": "log",
                "kill-after": 5,
                "forward-wait-for": None,
                "protocol": "json",
                "wait": 20,
                "lease": 60,
                "interval": 1,
                "prefetch": 0,
                "pollers": 1,
                "rate": None,
                "timeout": 0,
                "drain": 20,
                "max-attempts": 20,
                "until-empty": False,
                "token-file": None,
                "status": None,
                "status-token-file": None,
                "wedged": 60,
                "log-level": "info",
                "log-format": "text",
                "log-keep": 10,
            },
        )

    def test_prefersTheCommandLine(self) -> None:
        """
        Of any two places the one that counts more gives the value.
        """
        needed = {key: NEEDED[key] for key in NEEDED if key != "limit"}
        line, env, file = {"limit": "3"}, {"CONSUMER_LIMIT": "4"}, "limit = 5"
        for arguments, environ, text, wanted in (
            (line, env, file, 3),
            (line, env, None, 3),
            (line, {}, file, 3),
            (line, {}, None, 3),
            ({}, env, file, 4),
            ({}, env, None, 4),
            ({}, {}, file, 5),
        ):
            resolved = self.resolve(needed | arguments, environ, text)
            self.assertEqual(resolved["limit"], wanted)

    def test_flagMayBeFalse(self) -> None:
        """
        A flag may be false in the environment and true in the file.
        """
        true = "until-empty = true"
        for arguments, environ, text, wanted in (
            ({}, "", None, False),
            ({}, "", true, True),
            ({}, "false", true, False),
            ({}, "0", true, False),
            ({}, "1", "until-empty = false", True),
            ({}, "TRUE", None, True),
            ({"until-empty": 1}, "false", "until-empty = false", True),
        ):
            environ = {"CONSUMER_UNTIL_EMPTY": environ}
            resolved = self.resolve(NEEDED | arguments, environ, text)
            self.assertIs(resolved["until-empty"], wanted)

    def test_fileTakesEveryKey(self) -> None:
        """
        The file takes every option by its long name, a whole number for seconds too.
        """
        token = f"{self.path}.token"
        Path(token).write_text("t0ken")
        common = f"""
            url = "https://host/q"
            limit = 3
            protocol = "plain"
            wait = 1
            lease = 2.5
            interval = 0
            prefetch = 4
            pollers = 2
            rate = "90/m"
            timeout = 9
            drain = 7
            max-attempts = 0
            until-empty = true
            token-file = "{token}"
        """
        own = {
            "python": 'python = "os.getcwd"\nrun-in = "process"',
            "exec": 'exec = "cat -u"\nexec-env = "A,B"\nkill-after = 2',
            "forward": f"""
                forward = "{HANDLERS["forward"]}"
                forward-wait-for = "http://localhost:3/"
            """,
        }
        every = {
            handler: self.resolve(file=common + text) for handler, text in own.items()
        }
        for resolved in every.values():
            self.assertEqual(set(resolved), {option.name for option in OPTIONS})
            self.assertEqual((resolved["wait"], resolved["lease"]), (1.0, 2.5))
            self.assertIsInstance(resolved["wait"], float)
            self.assertEqual(resolved["token-file"].path, token)
            self.assertEqual(resolved["rate"], 1.5)
        self.assertEqual(every["python"]["run-in"], "process")
        command = every["exec"]
        self.assertEqual(
            (command["exec"], command["exec-env"], command["kill-after"]),
            (["cat", "-u"], ["A", "B"], 2.0),
        )
        self.assertIsInstance(command["kill-after"], float)
        forward = every["forward"]
        self.assertEqual(forward["forward"], URL.from_text("http://localhost:2/"))
        self.assertEqual(
            forward["forward-wait-for"], URL.from_text("http://localhost:3/")
        )

    def test_makesPathsAbsolute(self) -> None:
        """
        A relative path is one from the current directory, whatever that is later.
        """
        Path(self.path).write_text("t0ken")
        token = os.path.relpath(self.path)
        self.assertEqual(
            self.resolve(NEEDED | {"token-file": token})["token-file"].path, self.path
        )

    def test_takesEveryVariable(self) -> None:
        """
        The environment takes every option, the file's path among them.
        """
        Path(self.path).write_text("limit = 3\npollers = 2")
        environ = {
            "CONSUMER_URL": "http://host/",
            "CONSUMER_LIMIT": "5",
            "CONSUMER_PYTHON": "os.getcwd",
            "CONSUMER_MAX_ATTEMPTS": "0",
            "CONSUMER_WAIT": "0.5",
            "CONSUMER_CONFIG": self.path,
        }
        resolved = self.resolve({}, environ)
        self.assertEqual(
            [resolved[name] for name in ("limit", "pollers", "max-attempts", "wait")],
            [5, 2, 0, 0.5],
        )

    def test_passesOverEmptyVariables(self) -> None:
        """
        An empty variable counts as not set.
        """
        environ = {COMMAND.variable(option): "" for option in (*OPTIONS, CONFIG)}
        self.assertEqual(self.resolve(NEEDED, environ), self.resolve(NEEDED))
        self.assertEqual(
            self.resolve(NEEDED, environ, "wait = 3")["wait"],
            3,
        )

    def test_refusesEmptyArguments(self) -> None:
        """
        An empty argument is a value, and a wrong one.
        """
        for option in (*OPTIONS, CONFIG):
            if not option.isFlag:
                line = self.refused(neededFor(option.name) | {option.name: ""})
                self.assertTrue(line.startswith(f"--{option.name} takes"), line)

    def test_passesOverOtherVariables(self) -> None:
        """
        Variables that name no option are none of ours: an orchestrator sets such.
        """
        environ = {
            "CONSUMER_PORT": "tcp://10.0.0.1:80",
            "CONSUMER_SERVICE_HOST": "10.0.0.1",
            "CONSUMER_LIMITS": "x",
            "LIMIT": "x",
        }
        self.assertEqual(self.resolve(NEEDED, environ), self.resolve(NEEDED))


class FileTests(ResolvingCase):
    """
    The TOML file.
    """

    def test_refusesUnknownKeys(self) -> None:
        """
        A key that is no option is refused, and the options are listed.
        """
        for key in ("limits", "config", "Limit", "max_attempts", "help"):
            line = self.refused(NEEDED, file=f"{key} = 4")
            self.assertTrue(
                line.startswith(f"'{key}' in '{self.path}' is no option"), line
            )
            self.assertIn("max-attempts", line)

    def test_refusesWhatIsNoTOML(self) -> None:
        """
        A file that is no TOML is refused with the place.
        """
        for text in ("limit", "limit = ", "= 4", "limit = 4\nlimit = 4", "[a\n", "\0"):
            line = self.refused(NEEDED, file=text)
            self.assertTrue(
                line.startswith(
                    f"--config takes the path of a TOML file, not '{self.path}': "
                ),
                line,
            )
            self.assertIn(" (at ", line)

    def test_refusesWhatIsNoText(self) -> None:
        """
        A file that is no text is refused.
        """
        Path(self.path).write_bytes(b"\xff\xfe")
        self.assertIn("--config takes", self.refused(NEEDED | {"config": self.path}))

    def test_refusesWhatIsTooDeep(self) -> None:
        """
        A file that nests for ever is refused.
        """
        self.assertIn("too deeply", self.refused(NEEDED, file="a = " + "[" * 100_000))

    def test_refusesWhatCannotBeReadAgain(self) -> None:
        """
        A pipe is refused without waiting for whoever writes to it, and a file that is
        too long without reading all of it.
        """
        os.mkfifo(self.path)
        line = self.refused(NEEDED | {"config": self.path})
        self.assertIn("it is no regular file", line)
        os.unlink(self.path)
        with open(self.path, "wb") as file:
            file.truncate(1 << 40)
        line = self.refused(NEEDED | {"config": self.path})
        self.assertIn(f"it has more than {LONGEST_CONFIG} bytes", line)

    def test_takesAnEmptyFile(self) -> None:
        """
        An empty file changes nothing.
        """
        self.assertEqual(self.resolve(NEEDED, file=""), self.resolve(NEEDED))


class AnyTextTests(PlainTestCase):
    """
    Whatever is given is taken, or refused in one line.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        option=st.sampled_from([o for o in OPTIONS if not o.isFlag]),
        text=st.one_of(
            st.text(st.characters(exclude_categories=[])),
            st.floats().map(str),
            st.integers().map(str),
            st.from_regex(r"[-+]?[0-9_. eExX]{1,8}", fullmatch=True),
            st.from_regex(r"[a-z]{1,6}://[a-z:@/?#\[\]%0-9]{0,20}", fullmatch=True),
        ),
        environment=st.booleans(),
    )
    def test_takesOrRefusesAnyText(
        self, option: Any, text: str, environment: bool
    ) -> None:
        """
        Any text for any option is in range, or is refused in one line.
        """
        arguments = neededFor(option.name)
        environ = {COMMAND.variable(option): text} if environment and text else {}
        if not environ:
            arguments[option.name] = text
        try:
            value = resolve(COMMAND, arguments, environ)[option.name].value
        except BadOption as refused:
            line = str(refused)
            self.assertEqual(len(line.splitlines()), 1)
            self.assertTrue(line.isprintable())
            origin = COMMAND.variable(option) if environ else f"--{option.name}"
            self.assertIn(origin, line)
        else:
            self.assertIsNotNone(value)
            if isinstance(value, (int, float)):
                self.assertTrue(0 <= value <= 31_536_000)
