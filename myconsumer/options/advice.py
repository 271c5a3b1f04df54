"""
Options of C{twistd consumer} that are taken, and do not go well together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil

from myconsumer.command.setting import Setting

#: The seconds of a stop beside those of C{--drain}.
REST = 6

#: The seconds after which Kubernetes kills a pod that is to stop, and systemd a
#: service, unless they are told otherwise.
KUBERNETES_STOP, SYSTEMD_STOP = 30, 90

#: A lease that is shorter does not outlast a restart of the endpoint, in seconds.
SHORT_LEASE = 10

#: A larger prefetch is taken for too much where it is ten times the limit as well.
LARGE_PREFETCH = 100

Settings = Mapping[str, Setting]


def advise(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """
    @param settings: All settings, by the options' long names.
    @param environ: The environment, which says who has started the process.

    @return: A sentence for each setting that should be changed, with the change.
    """
    lines = [line for rule in _RULES for line in rule(settings)]
    return [*lines, *_onDrain(settings["drain"], environ)]


def _said(setting: Setting) -> str:
    return f"{setting.origin} is {setting.shown}"


def _onDrain(drain: Setting, environ: Mapping[str, str]) -> Iterator[str]:
    needed = ceil(drain.value) + REST
    if "KUBERNETES_SERVICE_HOST" in environ:
        if needed > KUBERNETES_STOP:
            yield (
                f"{_said(drain)}, and Kubernetes kills a pod {KUBERNETES_STOP} s after "
                "it is to stop, unless it is told otherwise: make sure that "
                f"terminationGracePeriodSeconds is {needed} or more"
            )
    elif "INVOCATION_ID" in environ and needed > SYSTEMD_STOP:
        yield (
            f"{_said(drain)}, and systemd kills a service {SYSTEMD_STOP} s after it is "
            f"to stop, unless it is told otherwise: make sure that TimeoutStopSec= is "
            f"{needed} or more"
        )


def _onLease(settings: Settings) -> Iterator[str]:
    lease = settings["lease"]
    if lease.value < SHORT_LEASE and not _isPlain(settings):
        yield (
            f"{_said(lease)}, and is lost where the endpoint does not answer for that "
            "long, or a handler blocks the reactor for that long: make it 30 or more"
        )


def _onPlain(settings: Settings) -> Iterator[str]:
    if not _isPlain(settings):
        return
    prefetch = settings["prefetch"]
    if prefetch.value:
        yield (
            f"{_said(prefetch)}, and a task of --protocol plain that waits for a slot "
            "is lost when the consumer stops: make it 0"
        )
    for name in ("lease", "max-attempts"):
        if not settings[name].isDefault:
            yield (
                f"{settings[name].origin} has no effect with --protocol plain, which "
                "has neither leases nor attempts: leave it out"
            )


def _onPrefetch(settings: Settings) -> Iterator[str]:
    prefetch, limit = settings["prefetch"], settings["limit"].value
    if prefetch.value > max(LARGE_PREFETCH, 10 * limit):
        yield (
            f"{_said(prefetch)}, and so many tasks are kept from other consumers while "
            f"{limit} run: {limit} is enough, unless tasks are shorter than a round "
            "trip to the endpoint"
        )


def _onPollers(settings: Settings) -> Iterator[str]:
    pollers = settings["pollers"]
    most = settings["limit"].value + settings["prefetch"].value
    if pollers.value > most:
        yield (
            f"{_said(pollers)}, more than the {most} tasks of --limit and --prefetch: "
            f"no more than {most} claims are ever open"
        )


def _onWaiting(settings: Settings) -> Iterator[str]:
    wait, interval = settings["wait"], settings["interval"]
    if settings["until-empty"].value and not wait.isDefault and not _isPlain(settings):
        yield f"{wait.origin} has no effect with --until-empty: leave it out"
    elif settings["local"].value is not None and not interval.isDefault:
        yield (
            f"{interval.origin} has no effect with --local, whose claims wait: leave "
            "it out"
        )
    elif interval.value == 0 and (wait.value == 0 or _isPlain(settings)):
        yield (
            f"{_said(interval)}, and an endpoint that answers at once is asked again "
            "without a pause while it has no task: make it 0.1 or more"
        )


def _onCommand(settings: Settings) -> Iterator[str]:
    killAfter, drain = settings["kill-after"], settings["drain"]
    if not killAfter.isDefault and killAfter.value > drain.value:
        yield (
            f"{_said(killAfter)}, and a stop leaves commands no more than the "
            f"{drain.shown} s of --drain: raise that"
        )


def _isPlain(settings: Settings) -> bool:
    return settings["local"].value is None and settings["protocol"].value == "plain"


_RULES: tuple[Callable[[Settings], Iterator[str]], ...] = (
    _onLease,
    _onPlain,
    _onPrefetch,
    _onPollers,
    _onWaiting,
    _onCommand,
)
