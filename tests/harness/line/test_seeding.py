from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from harness.line.seeding import derive_seed, generator, isolated_randomness


def test_a_seed_is_the_first_63_bits_of_the_digest_of_root_and_label():
    digest = hashlib.sha256(b"3/encoder").hexdigest()
    assert derive_seed(3, "encoder") == int(digest[:16], 16) // 2


def test_other_roots_and_other_labels_give_other_seeds():
    seeds = {derive_seed(root, label) for root in range(50) for label in ("encoder", "objective", "order of batches")}
    assert len(seeds) == 150


def test_a_root_may_be_a_name():
    assert derive_seed("digits-holdout/1", "validation") != derive_seed("digits-holdout/2", "validation")


def test_seeds_fit_a_torch_generator_and_numpy():
    for root in range(200):
        seed = derive_seed(root, "x")
        assert 0 <= seed < 2**63
        generator(seed)
        np.random.default_rng(seed)


def test_inside_the_block_global_draws_follow_the_seed():
    draws = []
    for seed in (1, 1, 2):
        with isolated_randomness(seed):
            draws.append((torch.rand(3).tolist(), np.random.rand(3).tolist()))
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[2][0]
    assert draws[0][1] != draws[2][1]


def test_after_the_block_the_callers_stream_goes_on():
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(4).tolist(), np.random.rand(4).tolist()
    torch.manual_seed(5)
    np.random.seed(5)
    first = torch.rand(2).tolist(), np.random.rand(2).tolist()
    with isolated_randomness(1):
        torch.rand(7)
        np.random.rand(7)
    second = torch.rand(2).tolist(), np.random.rand(2).tolist()
    assert (first[0] + second[0], first[1] + second[1]) == expected


def test_an_error_inside_the_block_also_gives_the_stream_back():
    torch.manual_seed(5)
    expected = torch.rand(1).item()
    torch.manual_seed(5)
    with pytest.raises(ZeroDivisionError), isolated_randomness(1):
        raise ZeroDivisionError
    assert torch.rand(1).item() == expected


def test_blocks_nest():
    with isolated_randomness(1):
        expected = torch.rand(1).item()
    with isolated_randomness(1):
        with isolated_randomness(2):
            torch.rand(1)
        assert torch.rand(1).item() == expected


def test_a_generator_is_seeded_and_apart_from_the_global_state():
    before = torch.random.get_rng_state()
    assert torch.rand(2, generator=generator(3)).tolist() == torch.rand(2, generator=generator(3)).tolist()
    assert torch.equal(before, torch.random.get_rng_state())
