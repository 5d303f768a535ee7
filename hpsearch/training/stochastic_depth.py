"""Stochastic depth: residual branches that are skipped at random in training (Huang et al. 2016)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models import (
    convnext,
    efficientnet,
    maxvit,
    mnasnet,
    mobilenetv2,
    mobilenetv3,
    regnet,
    resnet,
    swin_transformer,
    vision_transformer,
)
from torchvision.ops import StochasticDepth, stochastic_depth

# torchvision's residual blocks, and in each the modules whose output is added to a shortcut.
_BRANCHES: dict[type[nn.Module], tuple[str, ...]] = {
    resnet.BasicBlock: ("bn2",),
    resnet.Bottleneck: ("bn3",),
    regnet.ResBottleneckBlock: ("f",),
    mobilenetv2.InvertedResidual: ("conv",),
    mobilenetv3.InvertedResidual: ("block",),
    mnasnet._InvertedResidual: ("layers",),
    vision_transformer.EncoderBlock: ("dropout", "mlp"),
    convnext.CNBlock: ("stochastic_depth",),
    efficientnet.MBConv: ("stochastic_depth",),
    efficientnet.FusedMBConv: ("stochastic_depth",),
    swin_transformer.SwinTransformerBlock: ("stochastic_depth",),
    swin_transformer.SwinTransformerBlockV2: ("stochastic_depth",),
    maxvit.MBConv: ("stochastic_depth",),
    maxvit.PartitionAttentionLayer: ("stochastic_dropout",),
}


@dataclass(frozen=True)
class _Skipped:
    """A forward hook, so that parameters keep torchvision's names: the branch is 0 with probability
    `probability` for each sample in training, else times 1 / (1 - probability).
    """

    probability: float

    def __call__(self, module: nn.Module, given: Any, output: Tensor) -> Tensor:
        kept: Tensor = stochastic_depth(output, self.probability, "row", module.training)
        return kept


def residual_blocks(model: nn.Module) -> list[list[nn.Module]]:
    """Of each residual block, from the first to the last, the modules that end its branches."""
    return [
        [block.get_submodule(name) for name in _BRANCHES[type(block)]]
        for block in model.modules()
        if type(block) in _BRANCHES and _adds(block)
    ]


def _adds(block: nn.Module) -> bool:
    """Some blocks have no shortcut where they change the shape."""
    return bool(getattr(block, "use_res_connect", getattr(block, "apply_residual", True)))


def apply_stochastic_depth(model: nn.Module, last: float) -> None:
    """Block l of L is skipped with probability l / L * `last`: the paper's linear decay of survival, per sample
    as in torchvision. Sets what a torchvision model brings of its own; 0 switches it off.
    """
    blocks = residual_blocks(model)
    for place, branches in enumerate(blocks, start=1):
        probability = place / len(blocks) * last
        for branch in branches:
            if isinstance(branch, StochasticDepth):
                branch.p = probability
            elif probability > 0:
                branch.register_forward_hook(_Skipped(probability))
