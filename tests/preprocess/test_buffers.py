from __future__ import annotations

import numpy as np

from inference_models.preprocess.buffers import BufferPool

BYTES = np.dtype(np.uint8)


def test_an_array_given_back_is_taken_again_and_only_once() -> None:
    pool = BufferPool()
    first = pool.take((4, 5), BYTES)
    assert pool.take((4, 5), BYTES) is not first
    pool.give(first)
    assert pool.take((5, 4), BYTES) is not first
    assert pool.take((4, 5), np.dtype(np.int8)) is not first
    assert pool.take((4, 5), BYTES) is first
    assert pool.take((4, 5), BYTES) is not first


def test_the_longest_unused_arrays_go_when_too_much_lies_idle() -> None:
    pool = BufferPool(max_idle_bytes=25)
    arrays = [pool.take((10,), BYTES) for _ in range(3)]
    for array in arrays:
        pool.give(array)
    assert pool.idle_bytes == 20
    taken = [pool.take((10,), BYTES) for _ in range(3)]
    assert [id(array) for array in taken[:2]] == [id(arrays[2]), id(arrays[1])]
    assert all(taken[2] is not array for array in arrays)
    assert pool.idle_bytes == 0


def test_an_array_larger_than_the_limit_is_let_go() -> None:
    pool = BufferPool(max_idle_bytes=5)
    pool.give(pool.take((10,), BYTES))
    assert pool.idle_bytes == 0
