from __future__ import annotations

import hashlib

from inference_models.files.digest import RunningDigest, file_sha256, text_sha256


def test_hashes_agree_with_hashlib(tmp_path):
    data = bytes(range(256)) * 9000
    path = tmp_path / "f"
    path.write_bytes(data)
    digest = RunningDigest()
    for start in range(0, len(data), 1000):
        digest.update(data[start : start + 1000])
    expected = hashlib.sha256(data).hexdigest()
    assert (digest.sha256, file_sha256(path), digest.size) == (expected, expected, len(data))
    assert text_sha256("é") == hashlib.sha256("é".encode()).hexdigest()
