# ruff: noqa: T201
"""Tasks that misbehave, for the worker's tests: a worker's own folder of tasks is this folder."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from hpsearch.training import Data, Task


class Well(Task):
    """Trains in milliseconds."""

    def data(self, params, seed):
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(200, 4, generator=generator), torch.arange(200) % 2
        return Data(train=(x[:160], y[:160]), validation=(x[160:], y[160:]))

    def model(self, params):
        return nn.Linear(4, 2)


class Raises(Well):
    """Fails where the learning rate is above 1."""

    def model(self, params):
        if params["learning_rate"] > 1:
            raise RuntimeError("no model for you")
        return super().model(params)


class Killed(Well):
    def model(self, params):
        if params["learning_rate"] > 1:
            print("about to be killed", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().model(params)


class Exits(Well):
    def model(self, params):
        os._exit(3)


class Hangs(Well):
    """Sleeps through SIGTERM (PEP 475 takes the sleep up again)."""

    def model(self, params):
        if params["learning_rate"] > 1:
            time.sleep(600)
        return super().model(params)


class Forks(Well):
    """Starts a program in its process group, says its pid, and hangs."""

    def model(self, params):
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("grandchild", program.pid, flush=True)
        time.sleep(600)


class KillsForkServer(Well):
    def model(self, params):
        if params["learning_rate"] > 1:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        return super().model(params)


class ShowsEnvironment(Well):
    def model(self, params):
        print(sorted(os.environ), "CUDA:", repr(os.environ.get("CUDA_VISIBLE_DEVICES")))
        return super().model(params)


class Slow(Well):
    """Two steps per epoch of batches of 64; a step takes 30 ms."""

    def augment(self, x, generator):
        time.sleep(0.03)
        return x


class Chatty(Slow):
    """Prints 100 KB a step, and says where it is."""

    def augment(self, x, generator):
        print("x" * 100_000, "step", flush=True)
        return super().augment(x, generator)


class _Read(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        if i == 0:
            print("reader", os.getpid(), flush=True)
        time.sleep(0.001)
        return self.x[i] + torch.randn(4), self.y[i]


class Reads(Well):
    """Reads a Dataset, in loader workers where the study wants them."""

    def data(self, params, seed):
        data = super().data(params, seed)
        return Data(train=_Read(*data.train), validation=_Read(*data.validation))


class Deaf(Well):
    """Hears nothing, and leaves a file that says so."""

    def model(self, params):
        Path(tempfile.gettempdir(), f"deaf-{os.getpid()}").touch()
        time.sleep(600)
