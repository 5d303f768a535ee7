"""The development suite: what thresholds may be tuned on."""

from benchmarks.judge import faults as f
from benchmarks.judge.cases import Case, Suite, Twin
from benchmarks.judge.development_tasks import (
    CancerMlp,
    DigitsCnn,
    DigitsMlp,
    FriedmanMlp,
    LabelsMlp,
    MoonsMlp,
    TrendsGru,
)
from benchmarks.judge.faults import Fault
from benchmarks.judge.irreducible import FlippedLabels, OverlappingBlobs, RareClass

SEEDS = (0, 1, 2)

DIGITS = Twin(
    "digits mlp",
    DigitsMlp,
    {
        "learning_rate": 0.03, "momentum": 0.9, "weight_decay": 1e-4, "batch_size": 64, "epochs": 20,
        "hidden_units": 64,
    },
)  # fmt: skip
CNN = Twin("digits cnn", DigitsCnn, {"learning_rate": 0.02, "momentum": 0.9, "batch_size": 32, "epochs": 14})
CANCER = Twin(
    "cancer mlp",
    CancerMlp,
    {"learning_rate": 0.03, "momentum": 0.9, "weight_decay": 1e-3, "batch_size": 32, "epochs": 15},
)
MOONS = Twin(
    "moons mlp", MoonsMlp, {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "epochs": 25}
)
FRIEDMAN = Twin(
    "friedman mlp",
    FriedmanMlp,
    {"optimizer": "adam", "learning_rate": 0.005, "batch_size": 32, "epochs": 16},
)
TRENDS = Twin(
    "trends gru", TrendsGru, {"optimizer": "adam", "learning_rate": 0.004, "batch_size": 32, "epochs": 14}
)
LABELS = Twin(
    "labels mlp",
    LabelsMlp,
    {"learning_rate": 0.05, "momentum": 0.9, "batch_size": 32, "epochs": 25, "schedule": "cosine"},
)

PLANTED: tuple[tuple[Twin, tuple[Fault, ...]], ...] = (
    (
        DIGITS,
        (
            f.last_layer(30), f.weights_std(1), f.weights_times(0),
            f.lr_times(30, "lr_high"), f.lr_times(1 / 1000, "lr_very_low"), f.lr_times(1 / 100, "lr_low"),
            f.few_slow_epochs(4, 1 / 10), f.hidden_bias(-20), f.deep_sigmoid(8), f.inputs_times(255),
            f.shuffled_labels(f.longer(3), f.having(hidden_units=256, weight_decay=0.0)),
            f.narrow_knob("hidden_units", 2), f.few_samples(60),
            f.regularized("heavy_decay", "weight_decay", 0.3),
            f.regularized("heavy_dropout", "dropout", 0.95), f.early_step(0.05, 0.01),
            f.hot_small_batch(30, 16, hidden_units=16), f.DOUBLE_SOFTMAX, f.SUM_REDUCTION, f.SIGN_FLIP,
            f.validation_times(100), f.momentum(0.99), f.tiny_batch(1), f.dropout_in_evaluation(0.5),
            f.labels_wrong(0.4), f.labels_wrong(0.4, f.longer(3), f.having(hidden_units=256)),
            f.CLASS_NUMBERS, f.few_epochs(3), f.clipped(0.01), f.regularized("heavy_l1", "l1", 0.02),
            f.scaled_loss(1e-3), f.stale_statistics(1e-4), f.FROZEN,
            f.both(f.lr_times(1 / 100, "lr_low"), f.few_samples(80)),
            f.both(f.inputs_times(255), f.RAW_VALIDATION),
        ),
    ),
    (
        CNN,
        (
            f.last_layer(30), f.weights_times(0.01), f.weights_times(0), f.lr_times(30, "lr_high"),
            f.lr_times(1 / 1000, "lr_very_low"), f.hidden_bias(-20), f.inputs_times(255),
            f.shuffled_labels(f.longer(3)), f.few_samples(60), f.early_step(0.1, 0.01), f.DOUBLE_SOFTMAX,
            f.SIGN_FLIP, f.RAW_VALIDATION, f.momentum(0.99), f.SORTED_DATA, f.few_epochs(3),
            f.dropout_in_evaluation(0.6), f.tiny_batch(2),
        ),
    ),
    (
        CANCER,
        (
            f.lr_times(100, "lr_high"), f.lr_times(1 / 100, "lr_low"), f.RAW_INPUTS,
            f.shuffled_labels(f.longer(8), f.having(weight_decay=0.0)),
            f.regularized("heavy_decay", "weight_decay", 0.3), f.few_noisy_samples(60, 0.2), f.SIGN_FLIP,
            f.SUM_REDUCTION, f.RAW_VALIDATION, f.labels_wrong(0.5),
            f.both(f.SIGN_FLIP, f.lr_times(1 / 10, "lr_low")),
        ),
    ),
    (
        MOONS,
        (
            f.weights_times(0), f.lr_times(100, "lr_high"), f.lr_times(1 / 1000, "lr_very_low"), f.LINEAR,
            f.narrow_knob("units", 1), f.regularized("heavy_decay", "weight_decay", 0.3),
            f.deep_sigmoid(8), f.few_noisy_samples(30, 0.3), f.early_step(0.05, 0.01), f.few_epochs(3),
            f.validation_times(16),
        ),
    ),
    (
        FRIEDMAN,
        (
            f.last_layer(30), f.lr_times(200, "lr_high"), f.lr_times(1 / 1000, "lr_very_low"),
            f.lr_times(1 / 100, "lr_low"), f.LINEAR, f.inputs_offset(30), f.few_samples(40),
            f.shuffled_labels(), f.regularized("heavy_decay", "weight_decay", 0.3), f.SIGN_FLIP,
            f.early_step(0.05, 0.01), f.raw_targets(50, 300), f.RAW_VALIDATION, f.few_epochs(3),
            f.one_large_feature(1000), f.hot_small_batch(30, 16, width=12),
        ),
    ),
    (
        TRENDS,
        (
            f.lr_times(100, "lr_high"), f.lr_times(1 / 1000, "lr_very_low"), f.weights_std(2),
            f.shuffled_labels(f.longer(4)), f.few_samples(12), f.early_step(0.05, 0.01), f.few_epochs(3), f.inputs_times(100),
        ),
    ),
    (
        LABELS,
        (
            f.weights_times(0), f.lr_times(100, "lr_high"), f.lr_times(1 / 1000, "lr_very_low"), f.LINEAR,
            f.few_samples(60), f.SIGN_FLIP, f.DOUBLE_SOFTMAX,
            f.regularized("heavy_decay", "weight_decay", 0.3), f.long_warmup(500), f.momentum(0.995),
        ),
    ),
)  # fmt: skip
EASY: tuple[Twin, ...] = (
    DIGITS,
    DIGITS.having("lr/2", f.times("learning_rate", 0.5)),
    DIGITS.having("adam, tanh-like rate", f.having(optimizer="adam", learning_rate=3e-3, momentum=0.9)),
    DIGITS.having("cosine", f.having(schedule="cosine")),
    DIGITS.having("step at 60 %", f.having(schedule="step", step_epochs=12, step_factor=0.1)),
    CNN, CANCER, MOONS, FRIEDMAN, TRENDS, LABELS,
)  # fmt: skip
IRREDUCIBLE: tuple[Twin, ...] = (
    MOONS.having("noise 0.35", f.sized(MoonsMlp, noise=0.35)),
    DIGITS.having(
        "20 % flipped labels",
        f.sized(FlippedLabels, share=0.22),
        f.having(hidden_units=24, weight_decay=3e-3, epochs=12),
    ),
    FRIEDMAN.having("noise 4", f.sized(FriedmanMlp, noise=4.0), f.having(width=8, epochs=25)),
    Twin(
        "overlapping blobs",
        OverlappingBlobs,
        {"learning_rate": 0.05, "momentum": 0.9, "batch_size": 64, "epochs": 12},
    ),
    Twin("rare class", RareClass, {"learning_rate": 0.05, "momentum": 0.9, "batch_size": 64, "epochs": 25}),
)


def development() -> Suite:
    planted = (Case(twin, "fault", fault) for twin, some in PLANTED for fault in some)
    easy = (Case(twin, "easy") for twin in EASY)
    irreducible = (Case(twin, "irreducible") for twin in IRREDUCIBLE)
    return Suite("dev", (*planted, *easy, *irreducible), SEEDS, more_seeds=(3, 4))
