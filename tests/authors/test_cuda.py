"""The cache of captured graphs: bounded, least recently used out first, safe from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from inference_models.authors.cuda import TRTCudaGraphCache, establish_trt_cuda_graph_cache
from inference_models.errors import InvalidParameterError


def key(number: int) -> tuple[int]:
    return (number,)


def filled(count: int, capacity: int) -> TRTCudaGraphCache:
    cache = TRTCudaGraphCache(capacity)
    for number in range(count):
        cache[key(number)] = number
    return cache


def test_the_least_recently_used_goes_first() -> None:
    cache = filled(3, 3)
    assert cache[key(0)] == 0
    cache[key(3)] = 3
    assert cache.list_keys() == [key(2), key(0), key(3)]
    cache[key(2)] = 7
    assert cache.list_keys() == [key(0), key(3), key(2)]
    assert cache[key(2)] == 7


def test_looking_whether_one_is_there_is_no_use_of_it() -> None:
    cache = filled(2, 2)
    assert key(0) in cache
    cache[key(2)] = 2
    assert key(0) not in cache


def test_some_or_all_can_be_dropped() -> None:
    cache = filled(5, 5)
    cache.purge(n_oldest=2)
    assert cache.list_keys() == [key(2), key(3), key(4)]
    cache.safe_remove(key(3))
    cache.safe_remove(key(99))
    assert cache.get_current_size() == 2
    cache.purge()
    assert cache.get_current_size() == 0
    with pytest.raises(KeyError):
        cache[key(2)]


def test_many_threads_never_exceed_the_capacity() -> None:
    cache = TRTCudaGraphCache(4)

    def work(thread: int) -> int:
        largest = 0
        for number in range(500):
            cache[key(number * thread % 17)] = number
            largest = max(largest, cache.get_current_size())
            cache.list_keys()
            cache.safe_remove(key(number % 17))
        return largest

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(1, 9))) <= 4


def test_a_capacity_below_one_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        TRTCudaGraphCache(0)
    assert str(caught.value) == "the capacity of a CUDA graph cache makes no sense.\nneeds at least 1; found: 0"


def test_a_cache_is_made_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert establish_trt_cuda_graph_cache(8) is None
    own = TRTCudaGraphCache(1)
    assert establish_trt_cuda_graph_cache(8, own) is own
    monkeypatch.setenv("ENABLE_AUTO_CUDA_GRAPHS_FOR_TRT_BACKEND", "yes")
    assert isinstance(establish_trt_cuda_graph_cache(8), TRTCudaGraphCache)
