"""A stored trial judged by its server, the verdict proved by probes that its workers train."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from hpsearch.cli import settings, show
from hpsearch.cli.connect import connected, locate, running
from hpsearch.cli.crew import Crew, CrewPlan
from hpsearch.cli.judged import Judged
from hpsearch.diagnosis import TrialDiagnosis
from hpsearch.errors import InvalidInput, NotFound
from hpsearch.home import Home
from hpsearch.records import Study, StudyState, TrialId, TrialState

if TYPE_CHECKING:
    from hpsearch.client import Client
    from hpsearch.client.trial import TrialHandle

POLL_SECONDS = 0.25
IDLE_SECONDS = 5.0  # probes wait for so long and none is trained: say why


@dataclass(frozen=True)
class Place:
    """Which server is asked. `tasks`: where a worker finds the study's own task, should this command start one."""

    server: str | None
    token: str | None
    home: Path | None
    tasks: Path | None


def judged(trial: int, study: str | None, place: Place, *, probes: bool) -> Judged:
    """`trial` is an id, with a study its number there. Raises NotFound, Conflict while it is open or where no probe
    may be trained, InvalidInput where none could be.

    Where no server runs on the home, it and a worker are started for the time of the command.
    """
    if place.tasks is not None and not place.tasks.is_dir():
        raise InvalidInput(f"--tasks {place.tasks} is not a folder")
    if study is None and trial == 0:
        raise InvalidInput("--trial 0 is a number within a study: name it with --study STUDY")
    chosen = settings.resolve({"server": place.server, "token": place.token, "home": place.home})
    home = locate(chosen)
    alone = chosen["server"].text is None and running(home) is None
    with connected(place.server, place.token, place.home) as client:
        handle = _found(client, trial, study)
        found = handle.diagnosis()
        if probes and (found.provable or found.state == "running"):
            if alone and place.tasks is None:
                _refuse_own_task(client, handle)
            found = handle.diagnose(wait=False)
            with Crew(_plan(home, place, workers=1 if alone else 0)) as crew:
                crew.start_workers()
                found = _followed(client, handle, found, crew)
        return Judged(f"trial {handle.record.id}", found.model_dump(mode="json"), handle.metrics())


def _found(client: "Client", trial: int, study: str | None) -> "TrialHandle":
    if study is None:
        return client.trial(TrialId(trial))
    for handle in client.study(study).trials():
        if handle.record.number == trial:
            return handle
    raise NotFound(f"study {study!r} has no trial number {trial}", hint=f"hpsearch study trials {study}")


def _refuse_own_task(client: "Client", handle: "TrialHandle") -> None:
    """Raises InvalidInput where only a worker that knows the task's folder could train the probes."""
    study = client.study(str(handle.record.study_id)).record()
    task = study.spec["task"]
    if task["kind"] == "file":
        raise InvalidInput(
            f"the probes of trial {handle.record.id} need the folder of {task['file']}, the task of study {study.name!r}",
            hint="name it with --tasks DIR, or judge the trial by its curves alone with --no-probes",
        )


def _plan(home: Home, place: Place, *, workers: int) -> CrewPlan:
    tasks = None if place.tasks is None else place.tasks.absolute()
    return CrewPlan(
        home=home,
        tasks=tasks,
        workers=workers,
        slots=None,
        data=None,
        database_url=None,
        server=None,
        token=None,
    )


def _followed(client: "Client", handle: "TrialHandle", found: TrialDiagnosis, crew: Crew) -> TrialDiagnosis:
    """The diagnosis once no probe is open, with a line of progress until then."""
    began = busy = time.monotonic()
    said = ""
    show.note(f"trial {found.trial_id}: training the probes that prove what is wrong with it")
    with show.errors().status("") as line:
        while found.state == "running":
            now = time.monotonic()
            probes = f"{found.open_probes} probe{'' if found.open_probes == 1 else 's'}"
            line.update(Text(f"{probes} under way, {now - began:.0f} s"))
            study = None if found.examination is None else client.study(found.examination).record()
            if study is None or study.trial_counts[TrialState.RUNNING]:
                busy = now
            elif now - busy > IDLE_SECONDS and (why := _why_idle(client, study)) != said:
                show.note(why)
                said = why
            time.sleep(POLL_SECONDS)
            crew.check()
            found = handle.diagnosis()
    return found


def _why_idle(client: "Client", study: Study) -> str:
    from hpsearch.cli.run import why_idle
    from hpsearch.spec import StudySpec

    if study.state is StudyState.PAUSED:
        return f"{study.name} is paused; resume it with `hpsearch study resume {study.name}`"
    return why_idle(client, StudySpec.model_validate(study.spec))
