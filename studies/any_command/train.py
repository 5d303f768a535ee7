"""Logistic regression by gradient descent, in NumPy: a script as it was before, and three lines more."""

import argparse

import numpy as np

import hpsearch  # 1

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--l2", type=float, default=0.0)
parser.add_argument("--epochs", type=int, default=40)
args = parser.parse_args()

# Two noisy half moons, lifted to 40 random features.
rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 600)
labels = rng.integers(0, 2, 600)
moons = np.stack([np.cos(angle) + labels, np.where(labels, -1, 1) * np.sin(angle)], axis=1)
moons += rng.normal(0, 0.5, moons.shape)
inputs = np.tanh(moons @ rng.normal(0, 1.5, (2, 40)) + rng.normal(0, 1, 40))
train, val = slice(0, 400), slice(400, 600)
weights = np.zeros(40)


def loss_of(part: slice) -> float:
    margin = (2 * labels[part] - 1) * (inputs[part] @ weights)
    return float(np.logaddexp(0, -margin).mean())


for epoch in range(1, args.epochs + 1):
    for batch in np.array_split(rng.permutation(400), 8):
        guess = 0.5 * (1 + np.tanh(0.5 * (inputs[batch] @ weights)))
        gradient = inputs[batch].T @ (guess - labels[batch]) / len(batch) + args.l2 * weights
        weights -= args.lr * gradient
    accuracy = float(((inputs[val] @ weights > 0) == labels[val]).mean())
    hpsearch.report(epoch, train_loss=loss_of(train), val_loss=loss_of(val), val_accuracy=accuracy)  # 2
    if hpsearch.should_stop():  # 3
        break
