from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import HubSource, MergedSource, PackageSource, TrimmedSource, find_manifest, load_manifests
from models.trim import trimmed_path
from pipeline.errors import ConfigError

GOOD = """
name = "one"
label = "one"
file = "one.gguf"
size_gib = 1.0
prompt = "chat"
context = 4096
[source]
kind = "hub"
repository = "a/b"
[licence]
name = "L"
terms = "T"
notice = "N"
"""


def test_the_shipped_manifests_are_found_by_name() -> None:
    gemma = find_manifest("gemma-3-270m")
    assert (gemma.label, gemma.prompt) == ("gemma-3-270m", "completion")
    assert gemma.source == TrimmedSource(model="gemma-3-270m-full")
    assert isinstance(find_manifest("gemma-3-270m-full").source, PackageSource)
    medgemma = find_manifest("medgemma-4b-it-q3_k_m")
    assert (medgemma.label, medgemma.prompt, medgemma.template) == ("medgemma", "chat", "gemma")
    assert medgemma.source == HubSource(repository="unsloth/medgemma-4b-it-GGUF")


def test_only_medgemma_is_labelled_medgemma() -> None:
    labelled = [m.name for m in load_manifests().values() if m.label == "medgemma"]
    assert labelled == ["medgemma-4b-it-q3_k_m", "medgemma-4b-it-q3_k_m-ascii"]


def test_a_trimmed_model_is_asked_labelled_and_licensed_as_what_it_is_made_of() -> None:
    trimmed = [manifest for manifest in load_manifests().values() if isinstance(manifest.source, TrimmedSource)]
    assert [manifest.name for manifest in trimmed] == ["gemma-3-270m", "medgemma-4b-it-q3_k_m-ascii"]
    for manifest in trimmed:
        assert isinstance(manifest.source, TrimmedSource)
        full = find_manifest(manifest.source.model)
        assert trimmed_path(Path(full.file)).name == manifest.file
        for field in ("label", "prompt", "template", "context", "licence"):
            assert getattr(manifest, field) == getattr(full, field)


def test_a_taught_model_is_made_of_its_base_has_a_label_of_its_own_and_says_that_it_is_modified() -> None:
    taught = [manifest for manifest in load_manifests().values() if manifest.adapter is not None]
    assert [manifest.name for manifest in taught] == ["gemma-3-270m-taught"]
    for manifest in taught:
        assert isinstance(manifest.source, MergedSource)
        base = find_manifest(manifest.source.model)
        assert manifest.adapter is not None
        assert manifest.adapter.base_sha256 == base.sha256 != manifest.sha256
        assert (manifest.context, manifest.prompt) == (base.context, base.prompt)
        assert manifest.file != base.file
        assert manifest.label != base.label
        assert manifest.licence is not None
        assert "odified" in manifest.licence.notice
        assert "odified" in manifest.adapter.notice


def test_stub_has_no_file() -> None:
    assert find_manifest("stub").file == ""


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'gpt'.*gemma-3-270m, .*, medgemma-4b-it-q3_k_m, .*, stub"):
        find_manifest("gpt")


def test_a_path_gives_name_and_label_by_its_stem(tmp_path: Path) -> None:
    manifest = find_manifest(str(tmp_path / "My Model+Q4.gguf"))
    assert (manifest.name, manifest.label, manifest.prompt) == ("My-Model-Q4", "my-model-q4", "completion")
    assert manifest.file == str(tmp_path / "My Model+Q4.gguf")


def test_a_relative_path_counts_from_the_current_folder_if_the_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.gguf").touch()
    assert find_manifest("here.gguf").file == str(tmp_path / "here.gguf")
    assert find_manifest("models/there.gguf").file != str(tmp_path / "models/there.gguf")


@given(stem=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_every_file_name_gives_a_label_that_the_contract_allows(stem: str) -> None:
    label = find_manifest(f"/somewhere/{stem}.gguf").label
    assert 1 <= len(label) <= 64
    assert label[0].isalnum()
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("context = 4096", "contxt = 4096", "contxt"),
        ('label = "one"', 'label = "One"', r"\$\.label"),
        ('name = "one"', 'name = "two"', "'two'.*'one'"),
        ('file = "one.gguf"', 'file = "../one.gguf"', r"\.\./one\.gguf"),
        *(
            ('file = "one.gguf"', f"file = {name!r}", "bare name of a .gguf file")
            for name in ("/etc/one.gguf", "a/one.gguf", ".one.gguf", "one", "..", "one.gguf/..", "a b.gguf")
        ),
        ('file = "one.gguf"', 'file = "one.gguf\\n"', "bare name of a .gguf file"),
        *(
            ('repository = "a/b"', f"repository = {name!r}", r"\$\.source\.repository")
            for name in ("../r", "R/..", "R/r/x", "/R/r", "https://R/r", "R/.r")
        ),
        ('repository = "a/b"', 'repository = "R/r\\n"', r"\$\.source\.repository"),
        *(
            ('repository = "a/b"', f'repository = "a/b"\nrevision = {name!r}', r"\$\.source\.revision")
            for name in ("../x", "/x", "-x", "a b", "a/../../x")
        ),
        ("size_gib = 1.0", "", "sha256 nor size_gib"),
        ('terms = "T"', "terms = 3", r"\$\.licence\.terms"),
        ('kind = "hub"', 'kind = "ftp"', "ftp"),
    ],
)
def test_a_wrong_manifest_is_refused_by_file_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    (tmp_path / "one.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=rf"one\.toml.*{says}"):
        load_manifests(tmp_path)


def test_the_good_manifest_of_these_tests_is_good(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(GOOD)
    assert list(load_manifests(tmp_path)) == ["one"]


TAUGHT = (
    GOOD.partition("[source]")[0].replace('name = "one"', 'name = "two"').replace("one.gguf", "two.gguf")
    + f"""
[source]
kind = "merged"
model = "one"

[licence]
name = "L"
terms = "T"
notice = "N"

[adapter]
file = "two.gguf"
sha256 = "{64 * "a"}"
base_sha256 = "{64 * "b"}"
data_seed = 1
settings = "{64 * "c"}"
scores = {{ exact = 0.5 }}
notice = "N"
"""
)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[adapter]", "[adapters]", "adapters"),
        ('kind = "merged"', 'kind = "trimmed"', r'\[adapter\] and \[source\] kind = "merged" belong together'),
        ('model = "one"', 'model = "three"', "three is not known; name the weights that it was trained on"),
        (64 * "b", 64 * "d", "trained on weights with sha256 d{64}, one is of sha256 b{64}"),
    ],
)
def test_a_taught_model_without_its_base_or_its_adapter_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    (tmp_path / "one.toml").write_text(f'sha256 = "{64 * "b"}"\n{GOOD}')
    (tmp_path / "two.toml").write_text(TAUGHT)
    assert list(load_manifests(tmp_path)) == ["one", "two"]
    assert old in TAUGHT
    (tmp_path / "two.toml").write_text(TAUGHT.replace(old, new))
    with pytest.raises(ConfigError, match=rf"two\.toml.*{says}"):
        load_manifests(tmp_path)


def test_an_adapter_without_merged_weights_is_refused(tmp_path: Path) -> None:
    source = TAUGHT.partition("[source]")[2].partition("[licence]")[0]
    (tmp_path / "two.toml").write_text(TAUGHT.replace(source, GOOD.partition("[source]")[2].partition("[licence]")[0]))
    with pytest.raises(ConfigError, match=r"two\.toml: \[adapter\] and \[source\] kind = \"merged\" belong together"):
        load_manifests(tmp_path)
