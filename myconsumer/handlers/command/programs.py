"""
Finds programs before they are needed.
"""

from __future__ import annotations

import os
import shutil


def findProgram(name: str) -> str:
    """
    Find a program, as a shell does.

    @param name: Its name, looked for on the PATH, or a path.

    @return: An absolute path.

    @raise ValueError: It could not be started; the text says why.
    """
    found = shutil.which(name)
    if found is None:
        if "/" not in name:
            raise ValueError(f"there is no program {name!r} on the PATH")
        if not os.path.isfile(name):
            raise ValueError(f"there is no program {name!r}")
        raise ValueError(f"{name!r} is not executable")
    interpreter = _interpreter(found)
    if interpreter is not None and not os.access(interpreter, os.X_OK):
        raise ValueError(
            f"{name!r} is a script for {interpreter!r}, which is not there"
        )
    # twistd may change the directory
    return os.path.abspath(found)


def _interpreter(path: str) -> str | None:
    """
    @return: The program that a script names in its first line, if it is one.
    """
    try:
        with open(path, "rb") as stream:
            line = stream.readline(256)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    # a carriage return at the end counts, as it does for the system
    name = line[2:].strip(b" \t\n").replace(b"\t", b" ").partition(b" ")[0]
    return os.fsdecode(name)
