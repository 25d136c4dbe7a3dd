"""A small bundle to start from: policies, a catalog with one dataset, and what its store shows."""

from policy.values import ColumnType

POLICIES = b"""\
[request_definition]
r = principal, purpose, dataset, data_class, action
[policy_definition]
p = team, purpose, data_class, action, condition, treatment, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = member(r.principal, p.team) && within(r.purpose, p.purpose, p.eft) && \
within(r.data_class, p.data_class, p.eft) && r.action == p.action && holds(p.condition, p.eft, r.principal, r.dataset)
[data_classes]
user.unique_id        = moderate, identifier
user.behavior.pointer = low
[purposes]
train_ai_system.computer_use = train a model to operate a computer
[conditions]
same_region = principal.region == dataset.region
not_hr      = dataset.owner != "hr" and dataset.name != "x"
[rules]
pointer = research.ml, train_ai_system, user.behavior.pointer, read, same_region, clear, allow
other   = research.ml, train_ai_system, user.behavior.pointer, read, not_hr, clear, allow
"""

CATALOG = """\
[stores.files]
driver = "duckdb"
[datasets.pointer_events]
title = "Pointer movement and clicks"
owner = "collection.mci"
source = "github"
store = "files"
location = "data/pointer_events/*.parquet"
subject = "employee_id"
occurred_at = "occurred_at"
region = "eu"
audience = [{ team = "research.ml", purpose = "train_ai_system" }]
[datasets.pointer_events.columns]
employee_id = "user.unique_id"
occurred_at = "user.behavior.pointer"
x = { class = "user.behavior.pointer", coarse = 100 }
"""

LOOK = {
    "employee_id": ColumnType.TEXT,
    "occurred_at": ColumnType.TIMESTAMP,
    "x": ColumnType.INTEGER,
}
