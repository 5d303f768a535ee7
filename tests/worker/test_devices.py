import pytest

from hpsearch.errors import InvalidInput
from hpsearch.worker.devices import Gpu, choose, find_slots, usable_cores, visible_gpus

A, B = Gpu("GPU-aaaa-1", "H100", 81_000), Gpu("GPU-bbbb-2", "A100", 40_000)


def test_without_gpus_each_core_is_a_slot_of_one_thread() -> None:
    slots = find_slots("auto", None, None, gpus=(), cores=6)
    assert [local.slot.index for local in slots] == [0, 1, 2, 3, 4, 5]
    assert {(local.slot.device, local.slot.threads, local.visible_devices) for local in slots} == {
        ("cpu", 1, "")
    }


def test_threads_divide_the_cores_and_slots_override() -> None:
    assert len(find_slots("auto", None, 2, gpus=(), cores=6)) == 3
    assert len(find_slots("auto", None, 16, gpus=(), cores=6)) == 1
    assert len(find_slots("auto", 5, None, gpus=(), cores=2)) == 5


def test_each_gpu_is_a_slot_that_sees_only_it() -> None:
    slots = find_slots("auto", None, None, gpus=(A, B), cores=8)
    assert [(s.visible_devices, s.slot.name, s.slot.memory_mib, s.slot.threads) for s in slots] == [
        ("GPU-aaaa-1", "H100", 81_000, 4),
        ("GPU-bbbb-2", "A100", 40_000, 4),
    ]
    assert {s.slot.device for s in find_slots("cpu", None, None, gpus=(A, B), cores=2)} == {"cpu"}


def test_more_slots_than_gpus_share_them_in_turn() -> None:
    slots = find_slots("cuda", 3, None, gpus=(A, B), cores=8)
    assert [s.visible_devices for s in slots] == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-aaaa-1"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1,0", ["1", "0"]),
        ("GPU-bbbb", ["GPU-bbbb"]),
        ("0,-1,1", ["0"]),
        ("0,7,1", ["0"]),
        ("", []),
        ("MIG-3f", ["MIG-3f"]),
    ],
)
def test_an_existing_cuda_visible_devices_is_honoured(visible: str, expected: list[str]) -> None:
    assert [gpu.visible for gpu in choose((A, B), visible)] == expected


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no NVIDIA GPU"):
        find_slots("cuda", None, None, gpus=(), cores=2)
    with pytest.raises(InvalidInput, match="slots"):
        find_slots("cpu", 0, None, gpus=(), cores=2)
    with pytest.raises(InvalidInput, match="thread"):
        find_slots("cpu", 1, 0, gpus=(), cores=2)


def test_this_machine_can_be_asked() -> None:
    assert usable_cores() >= 1
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == ()
