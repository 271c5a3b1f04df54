"""
The metrics of a consumer as Prometheus reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, get_args

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from myconsumer.status.histogram import Histogram
from myconsumer.status.metrics import Metrics
from myconsumer.status.state import Status
from myconsumer.status.totals import Counts
from myconsumer.status.web.subject import ShownConsumer, Subject
from myconsumer.task import Outcome

_PREFIX = "myconsumer_"

#: Counters: their names, what they count, and where L{Counts} has them.
_COUNTERS = (
    ("tasks_claimed", "Tasks that claims have brought.", "claimed"),
    ("settlements", "Settlements that the endpoint has acknowledged.", "settled"),
    (
        "settlements_given_up",
        "Settlements that were not acknowledged before their lease ended.",
        "givenUp",
    ),
    (
        "leases_extended",
        "Extensions of leases that the endpoint has acknowledged.",
        "extended",
    ),
    ("leases_lost", "Leases that the endpoint has called lost.", "leasesLost"),
)

#: Gauges: their names, what they show, and how a L{Status} says it.
_GAUGES: tuple[tuple[str, str, Callable[[Status], float | None]], ...] = (
    ("slots_busy", "Tasks that run now.", lambda status: status.running),
    ("slots_limit", "The most tasks to run at once.", lambda status: status.limit),
    ("tasks_waiting", "Tasks that wait for a slot.", lambda status: status.waiting),
    (
        "oldest_task_seconds",
        "How long the task has run that runs longest; 0: none runs.",
        lambda status: status.oldest,
    ),
    (
        "settlements_pending",
        "Tasks that have ended and are not settled.",
        lambda status: status.unsettled,
    ),
    ("leases_held", "Leases that are held now.", lambda status: status.leases),
    ("claims_open", "Claims that are open now.", lambda status: status.openClaims),
    (
        "endpoint_silence_seconds",
        "The time since the endpoint last answered as it should; since the start where "
        "it has not answered yet.",
        lambda status: status.uptime if status.answered is None else status.answered,
    ),
    (
        "claims_failing_seconds",
        "For how long claims have failed; 0: they do not.",
        lambda status: status.failingFor,
    ),
    (
        "paused",
        "Whether claiming is paused: 1 or 0.",
        lambda status: bool(status.pauses),
    ),
    (
        "draining",
        "Whether the consumer drains to stop: 1 or 0.",
        lambda status: status.state == "draining",
    ),
)


class Exposition(Collector):
    """
    Gives out what was counted, and what the consumer is at, when it is asked.  All is
    in a registry of its own, beside that of the process, which handlers may use.
    """

    def __init__(self, subject: Subject) -> None:
        """
        @param subject: What there are metrics of.
        """
        self._subject = subject
        self._version = version("myconsumer")
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """
        @param accept: The header C{Accept} of the request.

        @return: All metrics, and their content type.
        """
        encode, contentType = choose_encoder(accept)
        return encode(self._registry), contentType

    def collect(self) -> Iterator[Metric]:
        """
        See C{prometheus_client.registry.Collector.collect}.
        """
        if self._subject.consumer is not None:
            yield from self._ofConsumer(self._subject.consumer)
        build = GaugeMetricFamily(
            f"{_PREFIX}build_info", "The version of myconsumer.", labels=["version"]
        )
        build.add_metric([self._version], 1)
        yield build

    def _ofConsumer(self, consumer: ShownConsumer) -> Iterator[Metric]:
        status = consumer.service.status()
        for name, help, where in _COUNTERS:
            value = getattr(status.totals, where)
            yield CounterMetricFamily(_PREFIX + name, help, value)
        for name, help, shown in _GAUGES:
            yield GaugeMetricFamily(_PREFIX + name, help, float(shown(status) or 0))
        yield from _tasks(consumer.metrics, status.totals)
        yield from _requests(consumer.metrics)


def _tasks(metrics: Metrics, totals: Counts) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        f"{_PREFIX}tasks_ended",
        "Tasks that have ended, by what becomes of them.",
        labels=["outcome"],
    )
    for outcome in get_args(Outcome):
        ended.add_metric([outcome], getattr(totals, outcome))
    yield ended
    run, queued = {"": metrics.run}, {"": metrics.queued}
    yield _histogram("task_run_seconds", "How long tasks have run.", run)
    yield _histogram(
        "task_queued_seconds",
        "The time from when tasks were queued, where the endpoint says so, to when "
        "they were started.",
        queued,
    )


def _requests(metrics: Metrics) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        f"{_PREFIX}requests",
        "Requests to the endpoint that have ended, by kind and result.",
        labels=["kind", "result"],
    )
    for labels, count in metrics.requests.items():
        requests.add_metric(labels, count)
    yield requests
    yield _histogram(
        "request_duration_seconds",
        "How long requests took; a claim may wait for tasks.",
        metrics.took,
    )
    yield _histogram(
        "batch_size",
        "How many tasks claims have brought that brought any; how many settlements "
        "and extensions were sent at once.",
        metrics.batches,
    )
    yield CounterMetricFamily(
        f"{_PREFIX}settlement_retries",
        "Settlements in requests that have failed; they are sent again.",
        metrics.retried,
    )


def _histogram(name: str, help: str, by: Mapping[Any, Histogram]) -> Metric:
    """
    @param by: The histograms by kind of request, or one by an empty name.
    """
    labels = [] if "" in by else ["kind"]
    family = HistogramMetricFamily(_PREFIX + name, help, labels=labels)
    for kind, histogram in by.items():
        values = [kind] if labels else []
        family.add_metric(values, list(histogram.buckets()), histogram.sum)
    return family
