"""Your own model in ten minutes. Copy this folder, change the four marked places, and run

    hpsearch run studies/my_model

The example classifies wines (178 samples, 13 chemical measurements, 3 growers) that scikit-learn ships.
"""

import torch
from sklearn.datasets import load_wine
from torch import nn

from hpsearch.training import Data, Task

# Shapes: N samples, F features, C classes.
FEATURES, CLASSES = 13, 3


class MyModel(Task):
    # 1. Hyperparameters that only your model understands. They are read from this file without running it,
    #    so write plain numbers. The study file may then search them (`space`) or set them (`fixed`).
    knobs = {"width": {"type": "int", "low": 4, "high": 512, "log": True, "default": 32}}
    metric = "accuracy"  # reported as train_accuracy and val_accuracy

    # 2. Your data, once per seed: training, validation and (optional) test parts, as tensors or as
    #    torch Datasets. The test part is opened once, at the very end.
    def data(self, params, seed):
        wine = load_wine()
        x_NF = torch.tensor(wine.data, dtype=torch.float32)
        y_N = torch.tensor(wine.target)
        # The test part must be the same for every seed: what one seed trains on, no other may test on.
        shuffled_N = torch.randperm(len(y_N), generator=torch.Generator().manual_seed(0))
        rest, test = shuffled_N[:142], shuffled_N[142:]
        rest = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))]
        train, validation = rest[:106], rest[106:]
        # The features have very different scales (proline is in the hundreds): standardize them, with
        # statistics of the training part only. Step 1 of the recipe checks that this was not forgotten.
        mean_F, std_F = x_NF[train].mean(0), x_NF[train].std(0)
        x_NF = (x_NF - mean_F) / std_F
        return Data(
            train=(x_NF[train], y_N[train]),
            validation=(x_NF[validation], y_N[validation]),
            test=(x_NF[test], y_N[test]),
        )

    # 3. Your model: any nn.Module. It is called with the random seed already set, so the weights are
    #    the same for the same seed.
    def model(self, params):
        width = params["width"]
        return nn.Sequential(
            nn.Linear(FEATURES, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, CLASSES),
        )

    # 4. Your loss, called as loss(outputs, targets). Cross-entropy is what you get without this method.
    def loss(self, params):
        return nn.CrossEntropyLoss()
