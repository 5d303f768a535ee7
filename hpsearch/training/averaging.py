"""Averaged weights: an exponential moving average over the steps."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hpsearch.training.checkpoint import weights_of


class Averaged:
    """A copy of `model` whose parameters are e_1 = w_1, e_t = d e_{t-1} + (1 - d) w_t after step t.

    Buffers (batch norm's statistics are averages already) are the model's present ones.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._source = model
        self._average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
        self.model: nn.Module = self._average.module

    def update(self) -> None:
        """Take the model's weights after one more step in."""
        self._average.update_parameters(self._source)

    def state(self) -> dict[str, Tensor]:
        """A copy on the CPU, the count of updates among it."""
        return weights_of(self._average)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._average.load_state_dict(state)
