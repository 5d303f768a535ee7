"""What keeps a server small: old curves and checkpoints are dropped by rule, on demand or every hour."""

import logging

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
    """What the rule lets go, first the rows and then the files."""
    pruned = retention.prune(held.db, rule, now=held.clock())
    return pruned if rule.dry_run else pruned.model_copy(update={"files": sweep(held)})


def sweep(held: Resources) -> int:
    """Remove the files of studies that were deleted or pruned, here or by a server that was killed before it could;
    how many. What a disk does not let go is left for the next time."""
    removed = 0
    for study in retention.leftovers(held.db):
        try:
            removed += drop_unkept(held.settings.home, study, retention.kept_files(held.db, study))
        except OSError as error:
            logging.getLogger("api").warning("files left over", extra={"study": study, "why": str(error)})
        else:
            retention.swept(held.db, study)
    return removed
