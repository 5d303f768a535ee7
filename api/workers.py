"""Workers: they register, beat, and are drained."""

from fastapi import APIRouter, Depends

from api.auth import CHANGE, VIEW, WORK
from api.bodies import StrictRoute
from api.parameters import Caller, Held, WorkerKey
from hpsearch.records import Worker
from hpsearch.service import workers
from hpsearch.service.heartbeats import Beat
from hpsearch.wire import HeartbeatRequest, HeartbeatResponse, RegisterWorker, WorkerList

router = APIRouter(tags=["workers"], route_class=StrictRoute)


@router.post("/workers", operation_id="register_worker", status_code=201, dependencies=[Depends(WORK)])
def register_worker(body: RegisterWorker, held: Held, caller: Caller) -> Worker:
    """The same name again is a new incarnation: leases of the older one end at once. Only this token speaks for it."""
    worker = workers.register(held.db, body, by=caller, now=held.clock())
    held.ring()
    return worker


@router.get("/workers", operation_id="list_workers", dependencies=[Depends(VIEW)])
def list_workers(held: Held) -> WorkerList:
    return workers.list_all(held.db, now=held.clock())


@router.post("/workers/{worker}/heartbeat", operation_id="heartbeat", dependencies=[Depends(WORK)])
async def heartbeat(
    worker: WorkerKey, body: HeartbeatRequest, held: Held, caller: Caller
) -> HeartbeatResponse:
    """Renews all leases the worker holds; answers which are over, which to stop, and whether to drain."""
    return await held.heartbeat(Beat(worker, body.runs, caller))


@router.post("/workers/{worker}/drain", operation_id="drain_worker", dependencies=[Depends(CHANGE)])
def drain_worker(worker: WorkerKey, held: Held) -> Worker:
    """It gets no new trials; those under way finish."""
    return workers.drain(held.db, str(worker), now=held.clock())
