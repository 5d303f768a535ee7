"""The scoring suite: other data sets, architectures and fault strengths than the development suite's.

Whoever tunes the judgement looks at its totals, never at its cases.
"""

from benchmarks.judge import faults as f
from benchmarks.judge.cases import Case, Suite, Twin
from benchmarks.judge.faults import Fault
from benchmarks.judge.holdout_tasks import (
    BlobsMlp,
    DiabetesMlp,
    DigitsTanh,
    ImpedanceMlp,
    OrdersLstm,
    TonesCnn,
    WavesCnn,
    WineMlp,
)
from benchmarks.judge.irreducible import FlippedLabels, RareClass

SEEDS = tuple(range(100, 110))

DIGITS = Twin(
    "digits tanh", DigitsTanh, {"learning_rate": 0.03, "momentum": 0.9, "batch_size": 32, "epochs": 15}
)
WINE = Twin(
    "wine mlp",
    WineMlp,
    {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 1e-3, "batch_size": 16, "epochs": 25},
)
BLOBS = Twin(
    "blobs mlp",
    BlobsMlp,
    {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 64, "epochs": 20, "hidden_units": 32},
)
WAVES = Twin("waves cnn", WavesCnn, {"learning_rate": 0.015, "momentum": 0.9, "batch_size": 32, "epochs": 18})
ORDERS = Twin(
    "orders lstm", OrdersLstm, {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "epochs": 10}
)
TONES = Twin(
    "tones cnn", TonesCnn, {"optimizer": "adam", "learning_rate": 0.003, "batch_size": 32, "epochs": 12}
)
IMPEDANCE = Twin(
    "impedance mlp",
    ImpedanceMlp,
    {"learning_rate": 0.03, "momentum": 0.9, "batch_size": 32, "epochs": 20, "schedule": "cosine"},
)

PLANTED: tuple[tuple[Twin, tuple[Fault, ...]], ...] = (
    (
        DIGITS,
        (
            f.last_layer(60), f.weights_std(0.6), f.lr_times(40, "lr_high"),
            f.lr_times(1 / 2000, "lr_very_low"), f.inputs_offset(20),
            f.shuffled_labels(f.longer(3)), f.narrow_knob("neurons", 2), f.few_samples(40),
            f.regularized("heavy_decay", "weight_decay", 0.15), f.regularized("heavy_dropout", "drop", 0.9),
            f.DOUBLE_SOFTMAX, f.SUM_REDUCTION, f.momentum(0.995), f.labels_wrong(0.5, f.longer(2)),
            f.regularized("heavy_l1", "l1", 0.01), f.stale_statistics(1e-3), f.tiny_batch(2),
            f.both(f.SUM_REDUCTION, f.labels_wrong(0.5)), f.few_epochs(3),
        ),
    ),
    (
        WINE,
        (
            f.lr_times(100, "lr_high"), f.lr_times(1 / 50, "lr_low"), f.RAW_INPUTS, f.RAW_VALIDATION,
            f.few_slow_epochs(4, 1 / 5), f.hidden_bias(-10), f.SIGN_FLIP,
            f.dropout_in_evaluation(0.7),
        ),
    ),
    (
        BLOBS,
        (
            f.lr_times(100, "lr_high"), f.lr_times(1 / 500, "lr_very_low"), f.weights_times(0), f.LINEAR,
            f.narrow_knob("hidden_units", 2), f.deep_sigmoid(10), f.few_noisy_samples(50, 0.3),
            f.early_step(0.08, 0.02), f.hot_small_batch(10, 8, hidden_units=8), f.one_large_feature(300), f.CLASS_NUMBERS, f.FROZEN,
            f.both(f.lr_times(1 / 100, "lr_low"), f.CLASS_NUMBERS),
        ),
    ),
    (
        WAVES,
        (
            f.last_layer(100), f.lr_times(20, "lr_high"), f.inputs_times(100), f.few_samples(50),
            f.shuffled_labels(f.longer(4)), f.early_step(0.05, 0.02), f.SORTED_DATA, f.SIGN_FLIP,
            f.validation_times(20), f.hidden_bias(-30), f.clipped(0.02), f.scaled_loss(3e-4),
            f.hot_small_batch(35, 16),
        ),
    ),
    (
        ORDERS,
        (
            f.lr_times(60, "lr_high"), f.lr_times(1 / 1500, "lr_very_low"), f.weights_std(3),
            f.few_samples(12), f.early_step(0.1, 0.01), f.narrow_knob("cells", 1),
        ),
    ),
    (
        TONES,
        (
            f.lr_times(200, "lr_high"), f.lr_times(1 / 800, "lr_very_low"), f.few_samples(40),
            f.SIGN_FLIP, f.DOUBLE_SOFTMAX, f.weights_times(0), f.long_warmup(300),
            f.shuffled_labels(f.longer(4)),
        ),
    ),
    (
        IMPEDANCE,
        (
            f.lr_times(1 / 70, "lr_low"), f.lr_times(60, "lr_high"), f.LINEAR, f.RAW_INPUTS,
            f.few_samples(30), f.raw_targets(400, 500), f.VALIDATION_TWICE, f.few_epochs(3),
            f.regularized("heavy_decay", "weight_decay", 0.2), f.SUM_REDUCTION, f.hot_small_batch(4, 8),
        ),
    ),
)  # fmt: skip

EASY: tuple[Twin, ...] = (
    DIGITS, BLOBS, WAVES, ORDERS, TONES, IMPEDANCE,
    DIGITS.having("lr/2", f.times("learning_rate", 0.5)),
    DIGITS.having("adam", f.having(optimizer="adam", learning_rate=2e-3)),
    WAVES.having("cosine", f.having(schedule="cosine")),
    BLOBS.having("step at 60 %", f.having(schedule="step", step_epochs=12, step_factor=0.1)),
    TONES.having("lr/2", f.times("learning_rate", 0.5), f.longer(1.5)),
)  # fmt: skip
IRREDUCIBLE: tuple[Twin, ...] = (
    BLOBS.having("spread 2", f.sized(BlobsMlp, spread=2.0), f.having(hidden_units=12, epochs=25)),
    Twin(
        "diabetes mlp",
        DiabetesMlp,
        {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.01, "batch_size": 32, "epochs": 20},
    ),
    DIGITS.having(
        "15 % flipped labels",
        f.sized(FlippedLabels, share=0.17),
        f.having(neurons=24, weight_decay=5e-3, epochs=20),
    ),
    ORDERS.having("20 % flipped labels", f.sized(FlippedLabels, share=0.2), f.having(cells=8, epochs=12)),
    Twin(
        "one in ten",
        f.sized(RareClass, rare=0.1),
        {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 64, "epochs": 30},
    ),
)


def holdout() -> Suite:
    planted = (Case(twin, "fault", fault) for twin, some in PLANTED for fault in some)
    easy = (Case(twin, "easy") for twin in EASY)
    irreducible = (Case(twin, "irreducible") for twin in IRREDUCIBLE)
    return Suite("score", (*planted, *easy, *irreducible), SEEDS)
