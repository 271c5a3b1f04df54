"""
The user who a process is going to be: C{twistd --uid} sheds privileges between the
options and the start of the service.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pwd import getpwuid
from typing import Any


@contextmanager
def laterUser(twistd: Mapping[str, Any]) -> Iterator[None]:
    """
    Be the user who this process is going to be, so that what that one may not do is
    found before anything is started.

    @param twistd: The options of C{twistd}; there may be none.
    """
    uid, gid = twistd.get("uid"), twistd.get("gid")
    if uid is None or os.geteuid() or twistd.get("chroot"):
        yield
        return
    before = os.getgroups()
    if gid is None:
        gid = getpwuid(uid).pw_gid
    os.setgroups(_groups(uid, gid))
    os.setresgid(gid, gid, 0)
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(before)


def _groups(uid: int, gid: int) -> list[int]:
    try:
        return os.getgrouplist(getpwuid(uid).pw_name, gid)
    except KeyError:
        # a number that nobody has
        return [gid]
