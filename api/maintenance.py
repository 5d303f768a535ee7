"""What keeps a server small: old curves and checkpoints are dropped by rule, on demand or every hour."""

from fastapi import APIRouter, Depends

from api.auth import ADMINISTER
from api.bodies import StrictRoute
from api.parameters import Held
from api.resources import Resources
from api.sweep import sweep
from hpsearch.service import retention
from hpsearch.wire import Prune, Pruned

router = APIRouter(tags=["maintenance"], route_class=StrictRoute, dependencies=[Depends(ADMINISTER)])


@router.post("/maintenance:prune", operation_id="prune")
def prune(body: Prune, held: Held) -> Pruned:
    """Of studies that ended `days` ago, only the best trials keep curves and checkpoints. Idempotent."""
    return prune_all(held, body)


def prune_all(held: Resources, rule: Prune) -> Pruned:
    """What the rule lets go, first the rows and then the files."""
    pruned = retention.prune(held.db, rule, now=held.clock())
    return pruned if rule.dry_run else pruned.model_copy(update={"files": sweep(held, pruned.studies)})
