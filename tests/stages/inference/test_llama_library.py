import os

import pytest

from stages.inference.library import allows_repacking, low_level


@pytest.mark.parametrize(("info", "repacked"), [(b"AMX_INT8 = 1 | ", False), (b"AVX512 = 1 | ", True)])
def test_only_a_build_with_amx_loads_into_plain_buffers(
    monkeypatch: pytest.MonkeyPatch, info: bytes, repacked: bool
) -> None:
    monkeypatch.setattr(low_level, "llama_print_system_info", lambda: info)
    assert allows_repacking() is repacked


def test_threads_sleep_at_barriers_after_a_moment_unless_the_user_says_otherwise() -> None:
    assert os.environ["GOMP_SPINCOUNT"]
