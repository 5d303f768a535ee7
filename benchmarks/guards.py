"""T6: what keeps the promises, one by one, and the tests that must notice when it is gone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`old` in `file` becomes `new`; then at least one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


SIM = "tests/faults/test_simulator.py::"
LEASES = "tests/service/test_leases.py::"
REAPER = "tests/service/test_reaper.py::"
LOCKS = "tests/service/test_study_locks.py::test_who_locks_a_study_waits_for_who_has_it"
CHECKPOINTS = "tests/service/test_checkpoints.py::"
SWEEP = "tests/operations/test_sweep.py::"
BUDGETS = "tests/service/test_budgets.py::"
FOREIGN = "tests/security/test_foreign_writes.py::"
PAUSE = f"{SIM}test_a_worker_that_stands_still_there_changes_no_result[before result]"
CRASH = f"{SIM}test_a_server_that_dies_at_any_commit_loses_nothing"

GUARDS = (
    Guard(
        "fence: a write needs an active run",
        "hpsearch/service/reports.py",
        "if row is None or not row.active:",
        "if row is None:",
        (PAUSE,),
    ),
    Guard(
        "fence: a write needs the run's own worker",
        "hpsearch/service/reports.py",
        "row.run.worker_id == request.worker_id and ",
        "",
        (f"{LEASES}test_a_report_of_anothers_run_is_lease_lost_and_stores_nothing[sqlite]",),
    ),
    Guard(
        "fence: a write needs the token of the run's worker",
        "hpsearch/service/reports.py",
        " and speaks_for(by, row.token_id)",
        "",
        (f"{FOREIGN}test_s3_a_write_under_a_lease_of_another_tokens_worker_changes_nothing_and_is_kept[sqlite]",),
    ),
    Guard(
        "request id: a lost claim's answer is asked for again",
        "hpsearch/service/leases.py",
        "held = self._held.get((worker.id, request.request_id))",
        "held = None",
        (f"{LEASES}test_a_repeated_lease_request_gets_the_same_runs[sqlite]",),
    ),
    Guard(
        "reaper: expiry is asked again under the lock",
        "hpsearch/service/reaper.py",
        "runs.lock_expired(tx, study_id, now=now)",
        "runs.lock_expired(tx, study_id, now=now + timedelta(days=1))",
        (f"{REAPER}test_a_heartbeat_between_the_reapers_look_and_its_lock_saves_the_lease[sqlite]",),
    ),
    Guard(
        "grace: an outage or a clock that jumps renews live leases",
        "hpsearch/service/reaper.py",
        "if _time_was_lost(tx, server, this, lease_seconds):",
        "if False:",
        (f"{SIM}test_an_outage_of_fifteen_minutes_restarts_no_trial_and_loses_no_point",),
    ),
    Guard(
        "sequence numbers: a report counts once",
        "hpsearch/store/batch.py",
        "sqlite.insert(metric_chunks).on_conflict_do_nothing()",
        "sqlite.insert(metric_chunks)",
        (f"{CRASH}[after]", f"{LEASES}test_metrics_and_outcome_of_one_run_in_one_batch[sqlite]"),
    ),
    Guard(
        "outcome digest: a repeated result is known",
        "hpsearch/service/reports.py",
        "return outcome_digest(one) == row.outcome_digest",
        "return False",
        (f"{LEASES}test_the_same_outcome_twice_is_stored_once[sqlite]",),
    ),
    Guard(
        "budget: counted where trials are claimed",
        "hpsearch/service/budgets.py",
        "return max(0, limit - study.started - beside)",
        "return limit",
        ("tests/service/test_budgets.py",),
    ),
    Guard(
        "epoch: bumped in the claim",
        "hpsearch/store/trials.py",
        "epoch=trials.c.epoch + 1,",
        "epoch=trials.c.epoch,",
        (PAUSE,),
    ),
    Guard(
        "one transaction: run and trial end together",
        "hpsearch/service/reaper.py",
        "        lose_runs(tx, expired, blamed=blamed, why=\"its worker fell silent\", now=now)\n",
        "        for row in expired:\n            runs.end(tx, row, RunState.LOST, now=now)\n    with db.write() as tx:\n"
        "        lose_runs(tx, expired, blamed=blamed, why=\"its worker fell silent\", now=now)\n",
        (f"{REAPER}test_a_reaper_that_dies_at_any_commit_leaves_no_trial_behind",),
    ),
    Guard(
        "study's lock: two last results see each other",
        "hpsearch/store/studies.py",
        'bindparam("ids", expanding=True)))))\n    .order_by(studies.c.id)\n    .with_for_update()',
        'bindparam("ids", expanding=True)))))\n    .order_by(studies.c.id)',
        (f"{LOCKS}[postgres-of runs]",),
    ),
    Guard(
        "study's lock: claims are counted one after the other",
        "hpsearch/store/studies.py",
        "    )\n    .order_by(studies.c.id)\n    .with_for_update()\n)\n_LOCK_OF_RUNS",
        "    )\n    .order_by(studies.c.id)\n)\n_LOCK_OF_RUNS",
        (f"{LOCKS}[postgres-with its parent]",),
    ),
    Guard(
        "study's lock: a rescue and a stop see each other",
        "hpsearch/store/studies.py",
        '_LOCK = select(studies).where(studies.c.id == bindparam("key")).with_for_update()',
        '_LOCK = select(studies).where(studies.c.id == bindparam("key"))',
        (f"{LOCKS}[postgres-by id]",),
    ),
    Guard(
        "poison: three crashes are enough",
        "hpsearch/service/outcomes.py",
        "MAX_CRASHES = 3",
        "MAX_CRASHES = 1_000",
        (f"{REAPER}test_the_third_lost_run_is_poison[sqlite]",),
    ),
    Guard(
        "incarnations: a new daemon ends the old one's leases",
        "hpsearch/service/workers.py",
        "_take_over(tx, before.id, body.interrupted, now=now)",
        "pass",
        (f"{LEASES}test_a_new_incarnation_ends_the_old_ones_leases_at_once[sqlite]",),
    ),
    Guard(
        "start id: a belated registration ends nothing",
        "hpsearch/service/workers.py",
        "if known is not None:",
        "if False:",
        ("tests/service/test_workers.py",),
    ),
    Guard(
        "breaker: a sick worker stops leasing",
        "hpsearch/service/breaker.py",
        "    if not _others_do_well(tx, streak[0].study_id, worker_id):\n",
        "    if True:\n",
        ("tests/service/test_breaker.py",),
    ),
    Guard(
        "fence: a checkpoint needs the run's own worker",
        "hpsearch/service/checkpoints.py",
        "row.run.worker_id != worker_id or ",
        "",
        ("tests/service/test_checkpoints.py",),
    ),
    Guard(
        "digest: a damaged checkpoint is not handed out",
        "api/checkpoints.py",
        "return hashlib.file_digest(file, \"sha256\").hexdigest() == checkpoint.sha256",
        "return True",
        ("tests/api/test_checkpoints.py",),
    ),
    Guard(
        "digest: a damaged upload is refused",
        "api/checkpoints.py",
        "if found != self._wanted:",
        "if False:",
        ("tests/api/test_checkpoints.py",),
    ),
    Guard(
        "late: a checkpoint replaces none of a later step",
        "hpsearch/service/checkpoints.py",
        "last is not None and last.step > new.step",
        "False",
        (f"{CHECKPOINTS}test_a_last_checkpoint_that_comes_after_a_later_one_changes_nothing",),
    ),
    Guard(
        "late: a file that is gone is not registered",
        "hpsearch/service/checkpoints.py",
        "if new.path in gone:",
        "if False:",
        (f"{CHECKPOINTS}test_a_checkpoint_whose_file_was_replaced_meanwhile_is_to_be_sent_again_unless_a_later_one_came",),
    ),
    Guard(
        "sweep: what a run may be about to register stays",
        "hpsearch/service/retention.py",
        "if past_runs.under_way(tx, study_id):",
        "if False:",
        (f"{SWEEP}test_a_study_under_way_keeps_what_is_not_registered_yet",),
    ),
    Guard(
        "sweep: files are noted with the rows that go",
        "hpsearch/store/studies.py",
        "    leftovers.note(tx, gone)\n",
        "",
        (f"{SWEEP}test_what_a_killed_server_did_not_remove_the_next_one_does",),
    ),
    Guard(
        "sweep: a newer note is not forgotten",
        "hpsearch/store/leftovers.py",
        "leftovers.c.id.in_(notes)",
        "leftovers.c.id > 0",
        (f"{SWEEP}test_a_study_that_is_deleted_while_its_pruned_files_are_removed_is_swept_again",),
    ),
    Guard(
        "home: another database's files are left alone",
        "api/sweep.py",
        "claim_home(held.db, home)",
        "pass",
        (f"{SWEEP}test_another_databases_files_are_left_alone",),
    ),
    Guard(
        "spool: what was measured in an outage is sent after it",
        "hpsearch/worker/reporter.py",
        "            self._closed.wait(pause)\n",
        "            return None\n",
        ("tests/worker/test_reporter.py",),
    ),
    Guard(
        "parent's death: a killed daemon leaves no child",
        "hpsearch/worker/lifeline.py",
        "    if sys.platform != \"linux\":\n        return",
        "    return",
        ("tests/worker/test_daemon.py::test_a_deaf_child_dies_even_where_daemon_and_fork_server_are_killed_at_once",),
    ),
    Guard(
        "lock: one server per SQLite file",
        "api/locks.py",
        "nullcontext() if file is None else _sole_writer(file)",
        "nullcontext()",
        ("tests/api/test_server.py::test_a_second_home_on_the_same_sqlite_file_is_refused",),
    ),
    Guard(
        "lease: a term that the reaper would renew for ever is refused",
        "api/settings.py",
        "if lease < TICKS_PER_LEASE * reaper:",
        "if False:",
        ("tests/api/test_settings.py::test_a_lease_that_the_reapers_pauses_would_renew_for_ever_is_refused",),
    ),
    Guard(
        "grace: steady clocks of two machines are not compared",
        "hpsearch/service/clock.py",
        'return f"{platform.node()} {start}"',
        "return platform.node()",
        (f"{REAPER}test_two_machines_of_one_name_do_not_compare_their_steady_clocks[sqlite]",),
    ),
    Guard(
        "grace: a tick from the future hides no outage",
        "hpsearch/store/ticks.py",
        ').where(\n    server_ticks.c.wall <= bindparam("until", type_=Timestamp)\n)',
        ")",
        (f"{REAPER}test_a_tick_from_the_future_of_a_server_that_is_gone_hides_no_outage[sqlite]",),
    ),
    Guard(
        "reaper: a study that it fails at strands no other",
        "hpsearch/service/reaper.py",
        "except Exception:  # a bug",
        "except ZeroDivisionError:  # a bug",
        ("tests/service/test_unreadable.py::test_the_reaper_goes_on_behind_a_study_that_it_fails_at[sqlite]",),
    ),
    Guard(
        "versions: a study that can't be read stops nobody else's leases",
        "hpsearch/service/claims.py",
        " or not study.readable",
        "",
        ("tests/service/test_unreadable.py::test_workers_lease_of_the_other_studies[sqlite]",),
    ),
    Guard(
        "hours: they hold where the trials are used up, too",
        "hpsearch/service/claims.py",
        "if budgets.time_spent(self._tx, self._study, spec, now=now) is not None:",
        "if False:",
        (f"{BUDGETS}test_device_hours_end_a_study_whose_budget_of_trials_is_used_up_too[sqlite]",),
    ),
    Guard(
        "end: what waits under a budget that probes have spent",
        "hpsearch/store/studies.py",
        "or_(_LATE, _SPENT_BY_OTHERS)",
        "_LATE",
        (f"{BUDGETS}test_what_waits_for_a_budget_that_probes_have_spent_is_stopped[sqlite]",),
    ),
    Guard(
        "end: what fails on the one worker that is left is not put back for ever",
        "hpsearch/service/breaker.py",
        "back = [trial for trial in back if trial.id not in again]",
        "pass",
        ("tests/service/test_breaker.py::test_what_fails_again_after_the_others_have_gone_has_failed[sqlite]",),
    ),
    Guard(
        "token: one that was revoked is given nothing while it waits",
        "api/leases.py",
        "        await gate.admit_still(request)\n",
        "",
        ("tests/api/test_waiting.py::test_a_poll_whose_token_is_revoked_ends_at_once_with_401_and_no_trial",),
    ),
    Guard(
        "bodies: one encoding, in which values are counted",
        "api/strict_json.py",
        "text = _text(body)",
        "text = body",
        ("tests/api/test_bodies.py::test_values_can_not_be_hidden_in_another_encoding",),
    ),
    Guard(
        "bodies: a stranger's is small",
        "api/bodies.py",
        'if "token" not in scope.get("state", {}):',
        "if False:",
        ("tests/pages/test_login.py::test_a_strangers_form_is_small_and_plain",),
    ),
    Guard(
        "too large: reports are sent in parts",
        "hpsearch/worker/reporter.py",
        "return self._deliver_smaller(batch, error)",
        "self._closed.wait(0.5)\n                continue",
        ("tests/worker/test_reporter.py::test_what_is_too_large_at_once_is_sent_in_parts",),
    ),
    Guard(
        "slot: a full disk gives the pack back",
        "hpsearch/worker/slot.py",
        "except OSError as error:\n            log.error(\"slot",
        "except ZeroDivisionError as error:\n            log.error(\"slot",
        ("tests/worker/test_slot.py::test_a_full_disk_gives_the_pack_back_and_the_slot_goes_on_once_there_is_room",),
    ),
    Guard(
        "checkpoints: the older one is fallen back on",
        "hpsearch/store/checkpoints.py",
        "for stored in (_row(row), _older(row)) if",
        "for stored in (_row(row),) if",
        ("tests/api/test_checkpoints.py::test_where_a_runs_newest_checkpoint_is_damaged_its_one_before_is_given",),
    ),
    Guard(
        "log: SQLite's starts anew under readers that overlap",
        "hpsearch/store/sqlite.py",
        "wal_checkpoint(TRUNCATE)",
        "wal_checkpoint(PASSIVE)",
        ("tests/store/test_sqlite_log.py::test_readers_that_overlap_do_not_make_the_log_grow_without_bound",),
    ),
)  # fmt: skip
