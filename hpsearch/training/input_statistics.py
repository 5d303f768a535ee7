"""What the inputs look like: scale, unequal features, non-finite entries, train against validation."""

# N samples, F features (channels of images, columns of vectors), P places within a channel

import math

import torch
from torch import Tensor

from hpsearch.training.batches import Samples, TensorSamples
from hpsearch.training.prepared import Prepared

SAMPLES = 10_000
# A pixel that is blank in 99 of 100 images has a tiny std without being out of scale.
RARE = 0.01


def input_statistics(prepared: Prepared) -> dict[str, float]:
    """Of up to 10,000 training and all validation inputs, as the model sees them.

    `input_abs_mean`; `nonfinite_inputs` (entries of both splits); `feature_std_ratio`, the largest std over
    the smallest, features left out that are constant or hold one value in 99 % of the samples. Validation
    against training: `val_mean_shift`, in training std: the larger of the shift of the whole input's mean
    and the 90th percentile of the features' own shifts (their maximum would grow with the number of
    features); `val_std_ratio`, validation std over training std, within features. NaN for token ids.
    """
    train = _inputs(prepared.train, prepared.evaluation_indices)
    validation = _inputs(prepared.validation, torch.arange(min(SAMPLES, prepared.validation.count)))
    if not train.is_floating_point():
        names = ("input_abs_mean", "feature_std_ratio", "val_mean_shift", "val_std_ratio")
        return {"nonfinite_inputs": 0.0, **dict.fromkeys(names, math.nan)}
    bad = int((~torch.isfinite(train)).sum()) + int((~torch.isfinite(validation)).sum())
    train_NF, validation_NF = _features(train.nan_to_num(0, 0, 0)), _features(validation.nan_to_num(0, 0, 0))
    return {
        "nonfinite_inputs": float(bad),
        "input_abs_mean": float(train_NF.abs().mean()),
        "feature_std_ratio": _std_ratio(train_NF),
        **_shift(train_NF, validation_NF),
    }


def _inputs(samples: Samples, indices: Tensor) -> Tensor:
    if isinstance(samples, TensorSamples) and len(indices) == samples.count:
        return samples.inputs
    return samples.take(indices)[0]


def _features(inputs: Tensor) -> Tensor:
    """(N, F) of vectors; (N * P, C) of images, each place a sample of its channel; float64."""
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    if inputs.ndim > 2:
        inputs = inputs.movedim(1, -1).flatten(0, -2)
    return inputs.double() if inputs.device.type != "mps" else inputs


def _std_ratio(features_NF: Tensor) -> float:
    std_F = features_NF.std(0, correction=0)
    common_F = features_NF.mode(0).values if len(features_NF) <= SAMPLES else features_NF[0]
    varies_F = (features_NF != common_F).double().mean(0) > RARE
    std_F = std_F[varies_F & (std_F > 0)]
    return float(std_F.max() / std_F.min()) if len(std_F) else 1.0


def _shift(train_NF: Tensor, validation_NF: Tensor) -> dict[str, float]:
    std_F = train_NF.std(0, correction=0)
    varies_F = std_F > 0
    if not bool(varies_F.any()):
        return {"val_mean_shift": 0.0, "val_std_ratio": 1.0}
    shifts_F = (validation_NF.mean(0) - train_NF.mean(0)).abs()[varies_F] / std_F[varies_F]
    whole = (validation_NF.mean() - train_NF.mean()).abs() / train_NF.std(correction=0)
    spread = validation_NF.var(0, correction=0).mean() / train_NF.var(0, correction=0).mean()
    return {
        "val_mean_shift": max(float(whole), float(torch.quantile(shifts_F, 0.9))),
        "val_std_ratio": math.sqrt(float(spread)),
    }
