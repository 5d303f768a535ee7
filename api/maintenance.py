"""What keeps a server small: old curves and checkpoints are dropped by rule, on demand or every hour."""

from fastapi import APIRouter, Depends

from api.auth import ADMINISTER
from api.bodies import StrictRoute
from api.checkpoints import drop_unkept
from api.parameters import Held
from api.resources import Resources
from hpsearch.service import retention
from hpsearch.wire import Prune, Pruned

router = APIRouter(tags=["maintenance"], route_class=StrictRoute, dependencies=[Depends(ADMINISTER)])


@router.post("/maintenance:prune", operation_id="prune")
def prune(body: Prune, held: Held) -> Pruned:
    """Of studies that ended `days` ago, only the best trials keep curves and checkpoints. Idempotent."""
    return prune_all(held, body)


def prune_all(held: Resources, rule: Prune) -> Pruned:
    """Rows first, then the files that none speaks of any more: a crash between leaves files, never a hole."""
    pruned = retention.prune(held.db, rule, now=held.clock())
    if rule.dry_run:
        return pruned
    home = held.settings.home
    files = sum(drop_unkept(home, study, retention.kept_files(held.db, study)) for study in pruned.studies)
    return pruned.model_copy(update={"files": files})
