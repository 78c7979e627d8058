"""The budgets in DynamoDB, for those who only look: a read model fenced by version, never used to approve anything."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.adapters.aws.dynamo import Busy, Item, Refused, Table, number, text, whole
from chimera.domain.budget_view import BudgetView

_NAMES = ("limit_micros", "reserved_micros", "spent_micros")


class DynamoBudgets:
    """One item for each budget row of a tenant: `pk = {tenant}#budget`, `sk = {period}:{category}:{period id}`."""

    def __init__(self, table: Table, tenant_id: str) -> None:
        self._table = table
        self._pk = f"{tenant_id}#budget"

    def put(self, view: BudgetView) -> bool:
        """Keep the row if its version is greater than what is kept; False for an older or a repeated one."""
        item: Item = {
            **self._table.key(self._pk, f"{view.period}:{view.category}:{view.period_id}"),
            "period": text(view.period),
            "category": text(view.category),
            "period_id": text(view.period_id),
            "ver": number(view.ver),
            "frozen": {"BOOL": view.frozen},
            **{name: number(getattr(view, name)) for name in _NAMES},
        }
        for _ in self._table.tries():
            try:
                self._table.call(
                    "put_item",
                    TableName=self._table.name,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk) OR ver < :ver",
                    ExpressionAttributeValues={":ver": number(view.ver)},
                )
            except Busy:
                continue
            except Refused:
                return False
            return True
        raise AssertionError("unreachable")

    def versions(self, period_ids: Sequence[str]) -> dict[tuple[str, str, str], int]:
        """The version kept of each row of these periods."""
        return {(v.period, v.category, v.period_id): v.ver for v in self.all() if v.period_id in period_ids}

    def all(self) -> list[BudgetView]:
        """Every row that is kept, eventually consistent: this is for looking, not for deciding."""
        found: list[BudgetView] = []
        start: dict[str, object] = {}
        while True:
            answer = self._table.call(
                "query",
                TableName=self._table.name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": text(self._pk)},
                **start,
            )
            found += [_view(item) for item in answer["Items"]]
            if not answer.get("LastEvaluatedKey"):
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _view(item: Item) -> BudgetView:
    return BudgetView(
        period=item["period"]["S"],
        category=item["category"]["S"],
        period_id=item["period_id"]["S"],
        ver=whole(item, "ver"),
        frozen=item["frozen"]["BOOL"],
        limit_micros=whole(item, "limit_micros"),
        reserved_micros=whole(item, "reserved_micros"),
        spent_micros=whole(item, "spent_micros"),
    )
