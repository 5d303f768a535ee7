"""Removes the files of studies that were deleted or pruned: after their rows, and after a server that was killed between."""

import logging
from collections.abc import Collection

from api.checkpoints import drop, files_of
from api.residence import claim_home
from api.resources import Resources
from hpsearch.errors import Conflict
from hpsearch.records import StudyId
from hpsearch.service import retention


def sweep(held: Resources, only: Collection[StudyId] | None = None) -> int:
    """Remove what is left over of all such studies, or of some; how many files.

    What the disk does not let go, and what belongs to a study that is under way again, waits for the next hour's sweep.
    """
    log = logging.getLogger("api")
    home = held.settings.home
    removed = 0
    try:
        claim_home(held.db, home)
    except (Conflict, OSError) as problem:
        log.warning("files left over", extra={"why": str(problem)})
        return 0
    for study, notes in retention.leftovers(held.db).items():
        if only is not None and study not in only:
            continue
        try:
            lost = retention.lost(held.db, study, files_of(home, study))
            if lost is None:
                continue
            removed += drop(home, study, lost)
        except OSError as error:
            log.warning("files left over", extra={"study": study, "why": str(error)})
        else:
            retention.swept(held.db, notes)
    return removed
