"""hpsearch: a hyperparameter search service that runs the seven-step recipe."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hpsearch.client import Client
    from hpsearch.judge import diagnose
    from hpsearch.reporting import report, should_stop

__all__ = ["Client", "__version__", "diagnose", "report", "should_stop", "training"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `hpsearch --help` loads no HTTP library and a server no torch.
    import importlib

    if name == "Client":
        return importlib.import_module("hpsearch.client").Client
    if name == "diagnose":
        return importlib.import_module("hpsearch.judge").diagnose
    if name == "training":
        return importlib.import_module("hpsearch.training")
    if name in ("report", "should_stop"):
        return getattr(importlib.import_module("hpsearch.reporting"), name)
    raise AttributeError(f"module 'hpsearch' has no attribute {name!r}")
