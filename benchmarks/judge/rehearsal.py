"""The rehearsal suite: every kind of fault in ten tasks more, and raw targets in an eleventh. Thresholds may be tuned on it."""

from benchmarks.judge import faults as f
from benchmarks.judge.cases import Case, Suite, Twin
from benchmarks.judge.faults import Fault
from benchmarks.judge.irreducible import FlippedLabels
from benchmarks.judge.rehearsal_tasks import (
    Adding,
    Autoregressive,
    Circles,
    Crooked,
    Friedman3,
    Hastie,
    Labels,
    Patches,
    Planes,
    Shells,
    Spirals,
    Swiss,
)

SEEDS = (0, 1)

PLANES = Twin(
    "planes mlp",
    Planes,
    {
        "optimizer": "adamw", "learning_rate": 0.003, "batch_size": 64, "epochs": 12, "hidden_units": 64,
        "weight_decay": 1e-3,
    },
)  # fmt: skip
SPIRALS = Twin(
    "spirals mlp", Spirals, {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 30, "epochs": 40}
)
HASTIE = Twin(
    "hastie batch norm",
    Hastie,
    {"learning_rate": 0.01, "momentum": 0.9, "batch_size": 64, "epochs": 15, "weight_decay": 1e-4, "schedule": "cosine"},
)  # fmt: skip
SWISS = Twin(
    "swiss mlp",
    Swiss,
    {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 40, "epochs": 30, "hidden_units": 48},
)
FRIEDMAN3 = Twin(
    "friedman3 mlp",
    Friedman3,
    {"learning_rate": 0.01, "momentum": 0.9, "batch_size": 25, "epochs": 60, "schedule": "cosine"},
)
PATCHES = Twin(
    "patches cnn",
    Patches,
    {"learning_rate": 0.03, "momentum": 0.9, "batch_size": 40, "epochs": 12, "weight_decay": 1e-4, "schedule": "cosine"},
)  # fmt: skip
ADDING = Twin(
    "adding lstm", Adding, {"optimizer": "adam", "learning_rate": 0.003, "batch_size": 32, "epochs": 20}
)
PROCESSES = Twin(
    "processes gru",
    Autoregressive,
    {"optimizer": "rmsprop", "learning_rate": 0.01, "batch_size": 32, "epochs": 14},
)
SHELLS = Twin(
    "shells residual",
    Shells,
    {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 64, "epochs": 18, "schedule": "cosine"},
)
LABELS = Twin(
    "labels mlp",
    Labels,
    {"learning_rate": 0.03, "momentum": 0.9, "batch_size": 32, "epochs": 25, "hidden_units": 96},
)
CROOKED = Twin(
    "crooked mlp", Crooked, {"optimizer": "adam", "learning_rate": 0.003, "batch_size": 16, "epochs": 20}
)

EVERYWHERE = (
    f.lr_times(1 / 1000, "lr_very_low"), f.lr_times(1 / 100, "lr_low"), f.lr_times(1 / 30, "lr_low"),
    f.lr_times(30, "lr_high"), f.lr_times(100, "lr_high"), f.few_epochs(3), f.few_epochs(4),
    f.few_slow_epochs(4, 1 / 10), f.early_step(0.08, 0.02), f.early_step(0.12, 0.05),
    f.regularized("heavy_decay", "weight_decay", 0.1), f.SIGN_FLIP, f.RAW_VALIDATION, f.validation_times(40),
    f.inputs_times(50), f.inputs_offset(12), f.few_samples(40), f.shuffled_labels(f.longer(4)), f.tiny_batch(2),
    f.last_layer(20), f.weights_std(1.5), f.weights_times(0.02), f.weights_times(0),
    f.dropout_in_evaluation(0.4), f.labels_wrong(0.35, f.longer(3)), f.long_warmup(300),
)  # fmt: skip
CLASSES = (f.DOUBLE_SOFTMAX, f.SORTED_DATA)
PLAIN_SGD = (f.SUM_REDUCTION, f.scaled_loss(3e-3), f.momentum(0.98), f.hot_small_batch(20, 16))
LAYERED = (f.LINEAR, f.FROZEN)
SPECIAL: tuple[tuple[Twin, tuple[Fault, ...]], ...] = (
    (PLANES, (*CLASSES, f.hidden_bias(-8), f.CLASS_NUMBERS, f.narrow_knob("hidden_units", 1), f.labels_wrong(0.3))),
    (SPIRALS, (*CLASSES, *LAYERED, f.deep_sigmoid(7), f.narrow_knob("neurons", 2))),
    (HASTIE, (*CLASSES, *PLAIN_SGD, *LAYERED, f.stale_statistics(2e-3), f.hidden_bias(-8))),
    (SWISS, (*LAYERED, f.raw_targets(20, 100), f.raw_targets(200, 50), f.narrow_knob("hidden_units", 2))),
    (FRIEDMAN3, (*PLAIN_SGD, *LAYERED, f.raw_targets(100, 10), f.raw_targets(1000, 4000), f.clipped(0.01))),
    (PATCHES, (*CLASSES, *PLAIN_SGD, f.CLASS_NUMBERS, f.clipped(0.003))),
    (ADDING, (f.raw_targets(30, 200), f.clipped(0.001))),
    (PROCESSES, (*CLASSES, f.CLASS_NUMBERS)),
    (SHELLS, (*CLASSES, f.hidden_bias(-10), f.deep_sigmoid(10))),
    (LABELS, (*PLAIN_SGD, *LAYERED, f.regularized("heavy_l1", "l1", 0.01), f.narrow_knob("hidden_units", 2))),
)  # fmt: skip
TARGETS = tuple(f.raw_targets(*units) for units in ((5, 10), (8, 0), (20, 20), (77, 152), (3, 25)))
EASY: tuple[Twin, ...] = (
    *(twin for twin, _ in SPECIAL),
    PLANES.having("lr/2", f.times("learning_rate", 0.5)),
    SPIRALS.having("cosine", f.having(schedule="cosine")),
    HASTIE.having("step at 60 %", f.having(schedule="step", step_epochs=9, step_factor=0.1)),
    FRIEDMAN3.having("lr x1.5", f.times("learning_rate", 1.5)),
    PATCHES.having("warmup", f.having(warmup_epochs=1.0)),
    LABELS.having("adam", f.having(optimizer="adam", learning_rate=0.005)),
)
IRREDUCIBLE: tuple[Twin, ...] = (
    PLANES.having("30 % drawn labels", f.sized(FlippedLabels, share=0.3), f.having(hidden_units=16, epochs=8)),
    SWISS.having("noise 2", f.sized(Swiss, noise=2.0), f.having(hidden_units=16, epochs=15)),
    PATCHES.having("30 % drawn labels", f.sized(FlippedLabels, share=0.3), f.having(epochs=6)),
    PROCESSES.having("30 % drawn labels", f.sized(FlippedLabels, share=0.3), f.having(epochs=10)),
    Twin("circles mlp", Circles, {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "epochs": 15}),
)  # fmt: skip


def rehearsal() -> Suite:
    planted = [Case(twin, "fault", fault) for twin, some in SPECIAL for fault in (*EVERYWHERE, *some)]
    planted += [Case(CROOKED, "fault", fault) for fault in TARGETS]
    easy = (Case(twin, "easy") for twin in EASY)
    irreducible = (Case(twin, "irreducible") for twin in IRREDUCIBLE)
    return Suite("rehearsal", (*planted, *easy, *irreducible), SEEDS, more_seeds=(2, 3, 4))
