"""CloudWatch patches for moto, which only stores metrics and alarms: metrics in log events, and `GetMetricData`."""

import json
from collections.abc import Iterator
from datetime import datetime, timezone

from moto.cloudwatch.models import Alarm as Record
from moto.cloudwatch.models import CloudWatchBackend, MetricDatum, cloudwatch_backends
from moto.logs.models import LogStream

from cdk_airflow_ecs.local.aws.account import Account
from cdk_airflow_ecs.local.scaling.alarms import Alarm
from cdk_airflow_ecs.local.scaling.metrics import Metric, Sample, embedded
from cdk_airflow_ecs.local.scaling.queries import Query, Samples, Window, answer

_MOST = 200_000  # maximum number of stored data; beyond that, the older half is deleted


def extract_metrics() -> None:
    """Patch moto to create metrics from log events in the embedded metric format, as CloudWatch Logs does."""
    put = LogStream.put_log_events

    def put_log_events(self: LogStream, log_events: list[dict]) -> str:
        token = put(self, log_events)
        backend = cloudwatch_backends[self.account_id][self.region]
        for event in log_events:
            for namespace, datum in embedded(event["message"], event["timestamp"] / 1000):
                backend.put_metric_data(namespace, [datum])
        if len(backend.metric_data) > _MOST:
            del backend.metric_data[: _MOST // 2]
        return token

    LogStream.put_log_events = put_log_events


def answer_queries() -> None:
    """Patch `GetMetricData` to use whole periods, compare all dimensions, and support metric math."""
    original = CloudWatchBackend.get_metric_data

    def get_metric_data(
        self: CloudWatchBackend, queries: list, start_time: datetime, end_time: datetime, scan_by: str = ""
    ) -> list:
        insights = any(query.get("Expression", "").lstrip().startswith("SELECT") for query in queries)
        if insights or start_time >= end_time:
            return original(self, queries, start_time, end_time, scan_by)
        parsed = [_query(query["Id"], **_plain(query)) for query in queries]
        period = max((query.period for query in parsed), default=60)
        window = Window(start=int(_seconds(start_time) // period * period), end=int(_seconds(end_time)))
        found = answer(parsed, samples(self), window)
        is_descending = scan_by == "TimestampDescending"
        labels = {query["Id"]: query.get("Label") for query in queries}
        results = []
        for query in parsed:
            if query.id in found:
                times = sorted(found[query.id], reverse=is_descending)
                name = f"{query.metric.name} {query.statistic}" if query.metric else query.id
                results.append(
                    {
                        "id": query.id,
                        "label": labels[query.id] or name,
                        "timestamps": [datetime.fromtimestamp(at, timezone.utc).replace(tzinfo=None) for at in times],
                        "values": [found[query.id][at] for at in times],
                        "status_code": "Complete",
                    }
                )
        return results

    CloudWatchBackend.get_metric_data = get_metric_data


def _plain(query: dict) -> dict:
    """Return a query of `GetMetricData` as arguments of `_query`."""
    statistic = query.get("MetricStat") or {}
    metric = statistic.get("Metric")
    dimensions = [(each["Name"], each["Value"]) for each in (metric or {}).get("Dimensions", [])]
    return {
        "metric": metric and Metric(metric["Namespace"], metric["MetricName"], frozenset(dimensions)),
        "statistic": statistic.get("Stat"),
        "period": statistic.get("Period") or query.get("Period"),
        "unit": statistic.get("Unit"),
        "expression": query.get("Expression"),
        "is_returned": query.get("ReturnData"),
    }


def _query(name, *, metric=None, statistic=None, period=None, unit=None, expression=None, is_returned=None) -> Query:
    return Query(
        id=name,
        metric=metric,
        statistic=statistic or "Average",
        period=int(period or 60),
        unit=unit or "",
        expression=expression or "",
        is_returned=is_returned not in (False, "false"),
    )


def samples(backend: CloudWatchBackend) -> Samples:
    """Return a function that returns the samples of a metric."""

    def of(metric: Metric, unit: str) -> Iterator[Sample]:
        for datum in list(backend.metric_data):
            if datum.name != metric.name or datum.namespace != metric.namespace or (unit and datum.unit != unit):
                continue
            if frozenset((each.name, each.value) for each in datum.dimensions) == metric.dimensions:
                yield _sample(datum)

    return of


def _sample(datum) -> Sample:
    at = _seconds(datum.timestamp)
    if isinstance(datum, MetricDatum):
        return Sample.of(at, datum.value)
    return Sample(at, datum.min, datum.max, datum.sum, datum.sample_count)


def _seconds(moment: datetime) -> float:
    """Return seconds since 1970 for one of moto's times, which are in UTC without time zone."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def alarm(record: Record) -> Alarm:
    """Convert moto's record of an alarm."""
    queries = []
    for each in record.metric_data_queries:
        statistic = each.metric_stat
        queries.append(
            _query(
                each.id,
                metric=statistic and _metric(statistic.metric, statistic.metric.metric_name),
                statistic=statistic and statistic.stat,
                period=statistic.period if statistic else each.period,
                unit=statistic and statistic.unit,
                expression=each.expression,
                is_returned=each.return_data,
            )
        )
    if not queries:
        queries.append(
            _query(
                "m1",
                metric=_metric(record, record.metric_name),
                statistic=record.statistic or record.extended_statistic,
                period=record.period,
                unit=record.unit,
            )
        )
    return Alarm(
        name=record.name,
        queries=tuple(queries),
        comparison=record.comparison_operator,
        threshold=float(record.threshold or 0),
        periods=int(record.evaluation_periods),
        to_alarm=int(record.datapoints_to_alarm or record.evaluation_periods),
        missing=record.treat_missing_data or "missing",
    )


def notification(record: Record, old: str, account: Account) -> dict[str, str]:
    """Return subject and message with which an alarm notifies a topic that its state was *old*."""
    message = {
        "AlarmName": record.name,
        "AlarmDescription": record.description,
        "AWSAccountId": account.id,
        "NewStateValue": record.state_value,
        "NewStateReason": record.state_reason,
        "StateChangeTime": f"{record.state_updated_timestamp:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+0000",
        "Region": account.region,
        "AlarmArn": record.alarm_arn,
        "OldStateValue": old,
    }
    return {
        "Subject": f'{record.state_value}: "{record.name}" in {account.region}'[:100],
        "Message": json.dumps(message),
    }


def _metric(source, name: str) -> Metric:
    return Metric(source.namespace, name, frozenset((each.name, each.value) for each in source.dimensions))
