import os

import pytest

from stages.inference.library import low_level, without_amx


@pytest.mark.parametrize(("info", "repacked"), [(b"AMX_INT8 = 1 | ", False), (b"AVX512 = 1 | ", True)])
def test_only_a_build_with_amx_loads_into_plain_buffers(
    monkeypatch: pytest.MonkeyPatch, info: bytes, repacked: bool
) -> None:
    monkeypatch.setattr(low_level, "llama_print_system_info", lambda: info)
    with without_amx():
        assert low_level.llama_model_default_params().use_extra_bufts is repacked
    assert low_level.llama_model_default_params().use_extra_bufts is True


def test_the_librarys_defaults_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_level, "llama_print_system_info", lambda: b"AMX_INT8 = 1 | ")

    def load_in_vain() -> None:
        with without_amx():
            raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        load_in_vain()
    assert low_level.llama_model_default_params().use_extra_bufts is True


def test_threads_sleep_at_barriers_unless_the_user_says_otherwise() -> None:
    assert os.environ["OMP_WAIT_POLICY"]
