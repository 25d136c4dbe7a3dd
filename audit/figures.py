"""What alerting comes to, in numbers, over all gateways: read from the database now and then, for whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, text

from .severities import Severity

# Who is on it, and not the state: a gateway contains what nobody has seen yet.
OPEN = text(
    "SELECT severity, count(*) FROM alerts WHERE acknowledged_by IS NULL AND state <> 'resolved' GROUP BY severity"
)
OUTBOX = text("""
    SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS age,
        (SELECT count(*) FROM channels WHERE is_behind) AS behind,
        (SELECT count(*) FROM alerts, alerting WHERE severity <= 3 AND alerts.id > first_alert
            AND EXISTS (SELECT FROM channels WHERE after_seconds IS NOT NULL)
            AND NOT EXISTS (SELECT FROM outbox WHERE alert = alerts.id)) AS lost
    FROM outbox WHERE state = 'waiting' AND due_at <= clock_timestamp()
""")
TO_PAGE = text("""
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM told - at)::float8)
    FROM (
        SELECT min(settled_at) AS told, least(min(at), min(settled_at)) AS at FROM outbox
        WHERE event IN ('raised', 'reopened') AND state = 'delivered' AND settled_at > now() - interval '1 day'
        GROUP BY alert, event, step
    ) AS first
""")
TO_ACKNOWLEDGE = text("""
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM taken)::float8)
    FROM (
        SELECT acknowledged_at - greatest(first_at, (
            SELECT max(at) FROM alert_steps WHERE alert = alerts.id AND event = 'reopened' AND at <= acknowledged_at
        )) AS taken FROM alerts
        WHERE acknowledged_at > now() - interval '1 day' AND severity <= 3
    ) AS acknowledged
""")
TO_CONTAIN = text("""
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM taken)::float8)
    FROM (
        SELECT min(steps.at) - first_at AS taken FROM alert_steps steps JOIN alerts ON alerts.id = steps.alert
        WHERE event = 'contained' AND steps.at > now() - interval '1 day' AND severity <= 3
            AND NOT EXISTS (SELECT FROM alert_steps earlier WHERE earlier.alert = alerts.id
                AND earlier.event = 'contained' AND earlier.at <= now() - interval '1 day')
        GROUP BY alerts.id
    ) AS contained
""")
QUANTILES = ("0.5", "0.99")
NOBODY_KNOWS = float("nan")


@dataclass(frozen=True, slots=True)
class Figures:
    """Open alerts by severity; letters that are due, and seconds that the oldest waits; channels that are behind;
    alerts that should have called somebody and have no letter, which must be none; and over the last day the seconds
    from the entry, or from when it was open again, to the first page and to the acknowledgement, and from the entry to
    the first containment, by quantile (NaN where there was none)."""

    open: Mapping[Severity, int] = field(default_factory=dict)
    waiting: float = NOBODY_KNOWS
    age: float = NOBODY_KNOWS
    behind: float = NOBODY_KNOWS
    lost: float = NOBODY_KNOWS
    to_page: Mapping[str, float] = field(default_factory=dict)
    to_acknowledge: Mapping[str, float] = field(default_factory=dict)
    to_contain: Mapping[str, float] = field(default_factory=dict)


class Counted:
    """The figures as they were at the last look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.figures = Figures()

    def look(self) -> None:
        """Count anew. Faults are SQLAlchemy's."""
        with self._engine.connect() as connection:
            counts = {Severity(severity): int(count) for severity, count in connection.execute(OPEN)}
            waiting, age, behind, lost = connection.execute(OUTBOX).one()
            self.figures = Figures(
                {severity: counts.get(severity, 0) for severity in Severity},
                waiting,
                age,
                behind,
                lost,
                _quantiles(connection.execute(TO_PAGE).scalar_one()),
                _quantiles(connection.execute(TO_ACKNOWLEDGE).scalar_one()),
                _quantiles(connection.execute(TO_CONTAIN).scalar_one()),
            )


def _quantiles(found: list[float | None] | None) -> Mapping[str, float]:
    known = found or [None] * len(QUANTILES)
    return {name: NOBODY_KNOWS if value is None else value for name, value in zip(QUANTILES, known, strict=True)}
