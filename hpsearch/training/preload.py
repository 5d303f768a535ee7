"""What a first trial would import in passing: done once in the fork server, shared by every child."""

import importlib

# torch.optim imports torch._dynamo at an optimizer's first step, used or not: 1 s that each child would pay.
LATE_IMPORTS = ("torch._dynamo", "numpy.ctypeslib", "numpy.ma")


def preload() -> None:
    """Import what training needs late. Computes nothing, so that no thread exists when a child is forked."""
    for name in LATE_IMPORTS:
        importlib.import_module(name)
