"""Which parameters mattered, by Optuna's evaluator (PED-ANOVA, Watanabe et al. 2023)."""

import warnings
from collections.abc import Mapping, Sequence

import optuna

from hpsearch.samplers.distributions import distribution
from hpsearch.space import Axis, Params

FEWEST = 4  # trials, below which a share of variation means nothing


def importances(
    axes: Mapping[str, Axis], results: Sequence[tuple[Params, float]], *, maximize: bool
) -> dict[str, float]:
    """Share of each axis, largest first; empty for fewer than 4 results and where nothing varied.

    `results`: (params, finite value). Only axes that every result has a value of, and not always the same.
    """
    used = {name: axis for name, axis in axes.items() if _varies(name, axis, results)}
    if len(results) < FEWEST or not used or len({value for _, value in results}) == 1:
        return {}
    distributions = {name: distribution(axis) for name, axis in used.items()}
    trials = [
        optuna.trial.create_trial(
            params={name: params[name] for name in used}, distributions=distributions, value=value
        )
        for params, value in results
    ]
    sampler = optuna.samplers.RandomSampler(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of experimental evaluators
        study = optuna.study.Study("importances", _memory(maximize), sampler=sampler)
        study.add_trials(trials)
        found = optuna.importance.get_param_importances(study)
    return {name: float(share) for name, share in found.items()}


def _memory(maximize: bool) -> optuna.storages.InMemoryStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells standard error of each study
    storage = optuna.storages.InMemoryStorage()
    direction = optuna.study.StudyDirection.MAXIMIZE if maximize else optuna.study.StudyDirection.MINIMIZE
    storage.create_new_study([direction], "importances")
    return storage


def _varies(name: str, axis: Axis, results: Sequence[tuple[Params, float]]) -> bool:
    values = [params.get(name) for params, _ in results]
    return (
        all(value is not None and axis.contains(value) for value in values) and len(set(map(str, values))) > 1
    )
