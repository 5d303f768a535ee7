"""The models of the suite: plain torch, as users write them."""

# B batch, C channels, L length, T time, F features

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}


def mlp(sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0) -> nn.Sequential:
    """Linear layers from `sizes[0]` inputs to `sizes[-1]` outputs, dropout behind each activation."""
    layers: list[nn.Module] = [nn.Flatten()]
    for number, (fan_in, fan_out) in enumerate(pairwise(sizes), start=2):
        layers.append(nn.Linear(fan_in, fan_out))
        if number < len(sizes):
            layers.append(ACTIVATIONS[activation]())
            layers.extend([nn.Dropout(dropout)] if dropout > 0 else [])
    return nn.Sequential(*layers)


def cnn2d(channels: int, outputs: int, *, inputs: int = 1, side: int = 8, units: int = 0) -> nn.Sequential:
    """Two convolutions with a pooling behind each; `units` > 0 adds a hidden layer behind them."""
    flat = 2 * channels * (side // 4) ** 2
    head: list[nn.Module] = [nn.Linear(flat, outputs)]
    if units:
        head = [nn.Linear(flat, units), nn.ReLU(), nn.Linear(units, outputs)]
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *head,
    )


def cnn1d(channels: int, outputs: int, *, length: int) -> nn.Sequential:
    """Signals (B, 1, L): two strided convolutions, an average over half the places, one linear layer."""
    return nn.Sequential(
        nn.Conv1d(1, channels, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.Conv1d(channels, 2 * channels, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * (length // 8), outputs),
    )


class Recurrent(nn.Module):
    """A GRU or LSTM over (B, T, F); its last state goes through one linear layer."""

    def __init__(self, cell: type[nn.GRU] | type[nn.LSTM], features: int, units: int, outputs: int) -> None:
        super().__init__()
        self.recurrent = cell(features, units, batch_first=True)
        self.head = nn.Linear(units, outputs)

    def forward(self, inputs_BTF: Tensor) -> Tensor:
        states_BTU, _ = self.recurrent(inputs_BTF)
        outputs: Tensor = self.head(states_BTU[:, -1])
        return outputs
