import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from hpsearch.training.compilation import CompiledForward
from tests.training.bench import Bench, digits


def test_a_compiled_pass_gives_the_models_gradients() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    inputs = torch.rand(4, 3)
    forward = CompiledForward(model)
    model(inputs).square().sum().backward()
    assert model.weight.grad is not None
    wanted = model.weight.grad.clone()
    model.zero_grad()
    forward(inputs).square().sum().backward()
    assert forward._forward is not model, "it fell back"
    assert torch.allclose(model.weight.grad, wanted, rtol=1e-5)


# After the one that compiles: inductor remembers in this process that there was no compiler.
def test_without_a_compiler_the_model_runs_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    wanted = digits(steps=12, learning_rate=0.05, dropout=0.3)
    _, plain = bench.run(wanted)
    with caplog.at_level(logging.WARNING):
        outcome, curves = bench.run(wanted.model_copy(update={"params": {**wanted.params, "compile": True}}))
    assert outcome.state == "completed", outcome.message
    assert curves["loss"] == plain["loss"]
    said = [record.getMessage() for record in caplog.records if "does nothing here" in record.getMessage()]
    assert len(said) == 1
    assert "C++ compiler" in said[0]
