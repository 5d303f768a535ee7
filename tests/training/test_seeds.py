import random
import subprocess
import sys

import numpy as np
import torch

from hpsearch.training.seeds import Seeds, derive, reproducible, seed_globals


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive(0, 0, "init") == 6840261872783522198
    assert derive(7, 2, "order/3") == 8661351334663702488


def test_every_part_of_a_seed_matters_and_parts_do_not_run_into_each_other() -> None:
    seeds = [derive(0, 0, "init"), derive(1, 0, "init"), derive(0, 1, "init"), derive(0, 0, "order/0")]
    assert len(set(seeds)) == 4
    assert derive(1, 11, "x") != derive(11, 1, "x")


def test_seeds_do_not_depend_on_the_process() -> None:
    code = "from hpsearch.training.seeds import derive; print(derive(3, 1, 'data'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == derive(3, 1, "data")


def test_generators_of_one_purpose_draw_the_same() -> None:
    a, b = Seeds(0, 0).generator("order/1"), Seeds(0, 0).generator("order/1")
    assert torch.equal(torch.randperm(100, generator=a), torch.randperm(100, generator=b))


def test_seeding_covers_all_global_generators() -> None:
    draws = []
    for _ in range(2):
        seed_globals(2**62 + 5)
        draws.append((random.random(), float(np.random.random()), float(torch.rand(()))))
    assert draws[0] == draws[1]


def test_reproducible_puts_everything_back() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with reproducible("cpu", threads=threads + 1):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == threads + 1
        seed_globals(0)
        torch.rand(10)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)
