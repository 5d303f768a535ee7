# ruff: noqa: T201
"""Tasks for real daemons: one that takes its daemon down, one that counts slowly."""

import os
import signal
import time

import psutil
import torch
from torch import nn

from hpsearch.training import Data, Task


class Counting(Task):
    """A step takes 30 ms; two steps per epoch."""

    def data(self, params, seed):
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(160, 4, generator=generator), torch.arange(160) % 2
        return Data(train=(x[:128], y[:128]), validation=(x[128:], y[128:]))

    def model(self, params):
        return nn.Linear(4, 2)

    def augment(self, x, generator):
        time.sleep(0.03)
        return x


class Poison(Counting):
    """Ends the daemon above its fork server, as a trial does whose memory makes the kernel choose it."""

    def model(self, params):
        if params["learning_rate"] > 0.5:
            print("this trial is poison", flush=True)
            fork_server = psutil.Process(os.getppid())
            os.kill(fork_server.ppid(), signal.SIGKILL)
            time.sleep(60)
        return super().model(params)
