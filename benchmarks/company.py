"""The rules and the catalog of a company that never was, for ledgers that were never lived."""

from policy.bundle import digest_of
from policy.model import MODEL

DATASETS = 60
TEAMS = [f"{field}.{team}" for field in ("research", "product", "sales", "people") for team in "abcdefghij"]
PURPOSES = [f"train_ai_system.p{n}" for n in range(10)] + ["analytics.reports", "analytics.quality.daily"]
COLUMNS = ("at", "x", "y", "button")
DATASET = """
[datasets.dataset_{n}]
owner = "collection"
store = "files"
location = "data/{n}/*.parquet"
subject = "who"
audience = [{{ team = "*", purpose = "*" }}]
[datasets.dataset_{n}.columns]
who = "user.unique_id"
at = "user.behavior.pointer"
x = "user.behavior.pointer"
y = "user.behavior.pointer"
button = "user.behavior.pointer"
"""


def _policies() -> str:
    model = "".join(f"[{section}]\n{name} = {value}\n" for section, (name, value) in MODEL.items())
    purposes = "".join(f"{name} = one of them\n" for name in PURPOSES)
    rules = "".join(
        f"pointer_{n} = {team}, *, user.behavior.pointer, read, trained, clear, allow\n"
        f"who_{n} = {team}, *, user.unique_id, read, trained, pseudonym, allow\n"
        for n, team in enumerate(TEAMS)
    )
    classes = "[data_classes]\nuser.behavior.pointer = low\n"
    conditions = '[conditions]\ntrained = principal.privacy_training == "current"\n'
    return f"{model}{classes}[purposes]\n{purposes}{conditions}[rules]\n{rules}"


POLICIES = _policies()
CATALOG = '[stores.files]\ndriver = "duckdb"\n' + "".join(DATASET.format(n=n) for n in range(DATASETS))
DIGEST = digest_of(POLICIES.encode(), CATALOG.encode())
