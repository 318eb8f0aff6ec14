"""The two files that come into force the same way: the policy, and the catalog under the policy's delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain import catalog_change, policy_change
from domain.change_history import ChangeEvent, Document, fold
from domain.errors import InvariantBroken, StoreUnavailable
from domain.market import Catalog
from domain.policy import ChangeRules, Policy

CATALOG: Final = "catalog"
POLICY: Final = Document(
    name="policy",
    parse=Policy.model_validate,
    compare=policy_change.compare,
    meet=policy_change.meet,
    rules=lambda policy: policy.changes,
)


def policy_document(_: Sequence[ChangeEvent]) -> Document[Policy]:
    return POLICY


def catalog_document(events: Sequence[ChangeEvent]) -> Document[Catalog]:
    """Under the policy that the same events say is in force."""

    def rules(_: Catalog) -> ChangeRules:
        try:
            policy = fold(POLICY, events).in_force
        except ValueError as error:
            raise StoreUnavailable("the policy in force is none in this version, and no catalog changes") from error
        if policy is None:
            raise InvariantBroken("a catalog is in force and no policy, which says how long a looser one waits")
        return policy.changes

    return Document(
        name=CATALOG,
        parse=Catalog.model_validate,
        compare=catalog_change.compare,
        meet=catalog_change.meet,
        rules=rules,
    )
