"""Randomness belongs to the sample, work to the rank."""

import pytest
import torch

from iin_cli.distributed import (
    bfloat16_is_fast,
    choose_device,
    draw_seed,
    failure,
    from_main,
    gather,
    gather_numbers,
    is_main_rank,
    local_rank,
    lost_process,
    noise,
    rank,
    report_failure,
    seeded,
    wait_for_all,
    world_size,
)
from iin_cli.errors import UsageError
from iin_cli.leading import leaders_first


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_alone_there_is_one_rank():
    assert (rank(), world_size(), is_main_rank()) == (0, 1, True)


def test_alone_nobody_is_waited_for_or_told():
    tensor = torch.ones(2)
    assert gather("x") == ["x"]
    assert gather_numbers([1.5, 2]) == [[1.5, 2]]
    assert from_main({"a": tensor})["a"] is tensor
    wait_for_all()
    with leaders_first():
        pass
    assert report_failure("why") is None
    assert failure() is None
    assert not lost_process(RuntimeError("gloo: connection closed by peer"))


def test_several_processes_need_a_place_to_meet(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match="MASTER_ADDR is not set: start the processes with torchrun"):
        gather(1)
    # Before they have met there is nobody to tell.
    assert report_failure("why") is None
    assert lost_process(RuntimeError("[gloo] Connection closed by peer"))
    assert not lost_process(RuntimeError("shapes differ"))
    assert not lost_process(ValueError("gloo"))


def test_every_process_of_a_machine_takes_its_own_gpu(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert local_rank() == 1
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 1)
    assert choose_device("cuda:0") == torch.device("cuda", 0)


def test_one_of_several_ranks_is_the_main_one(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for number in range(3):
        monkeypatch.setenv("RANK", str(number))
        assert (rank(), world_size(), is_main_rank()) == (number, 3, number == 0)


def test_noise_depends_on_its_seed_only():
    together = noise([3, 1, 4], 6)
    assert together.shape == (3, 6)
    assert together.dtype == torch.float32
    for row, seed in enumerate([3, 1, 4]):
        assert torch.equal(noise([seed], 6)[0], together[row])
    assert not torch.equal(together[0], together[1])
    assert noise([], 6).shape == (0, 6)


def test_noise_is_the_same_everywhere_and_touches_nothing():
    before = torch.get_rng_state()
    first = noise([0], 4)
    torch.manual_seed(123)
    assert torch.equal(noise([0], 4), first)
    torch.set_rng_state(before)
    noise(range(3), 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_standard_normal():
    drawn = noise(range(2000), 16)
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)
    # Neighbouring seeds are as strange to each other as any.
    assert (drawn[:-1] * drawn[1:]).mean().item() == pytest.approx(0, abs=0.02)


def test_seeded_draws_depend_on_the_seed_only_and_touch_nothing():
    def drawn(seed):
        with seeded(seed, torch.device("cpu")):
            return torch.rand(()).item()

    before = torch.get_rng_state()
    first = drawn(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert drawn(1) == first
    assert drawn(2) != first


def test_the_callers_generator_is_its_own_again_after_a_failure():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3):
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("abilities", "fast"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True, "avx512_bf16": False}, True),
        ({"bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_bfloat16_is_fast_where_the_processor_multiplies_it(monkeypatch, abilities, fast):
    # Not in every torch.
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert bfloat16_is_fast(torch.device("cpu")) == fast
    assert not bfloat16_is_fast(torch.device("mps"))


def test_a_seed_is_the_users_or_fresh():
    assert draw_seed(0) == 0
    assert draw_seed(7) == 7
    drawn = {draw_seed(None) for _ in range(8)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**31 for seed in drawn)


def test_devices_that_are_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(("wanted", "words"), [("abacus", "write auto"), ("cuda:99", "has none"), ("meta", "has none")])
def test_devices_that_are_not_there_are_refused(wanted, words):
    with pytest.raises(UsageError, match=words) as caught:
        choose_device(wanted)
    assert wanted in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_an_explicit_gpu_is_never_replaced_by_the_cpu():
    with pytest.raises(UsageError, match="--device cuda"):
        choose_device("cuda")
