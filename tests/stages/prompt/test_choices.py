"""Choices in a file of words: what a phrase stands for, and the errors of one that is wrong."""

from pathlib import Path

import pytest

from pipeline.config import PromptSection
from pipeline.errors import ConfigError
from stages.prompt.choices import MOST, spelled_out
from stages.prompt.language import LANGUAGE_FILE, load_language
from stages.prompt.rules import RuleEngine
from stages.prompt.site_words import load_vocabulary


def test_a_phrase_stands_for_each_way_to_choose_in_its_place_of_the_list() -> None:
    assert spelled_out({"a": ["x", "[can|could] we[| please]", "y"], "b": 3, "c": {"d": ["[e]"]}}) == {
        "a": ["x", "can we", "can we please", "could we", "could we please", "y"],
        "b": 3,
        "c": {"d": ["e"]},
    }


@pytest.mark.parametrize("phrase", ["[can|could we", "can|could] we", "[can|[could]] we", "[[a]"])
def test_a_bracket_without_its_other_is_named(phrase: str) -> None:
    with pytest.raises(ValueError, match="a bracket without its other") as caught:
        spelled_out([phrase])
    assert repr(phrase) in str(caught.value)


def test_a_phrase_that_stands_for_too_many_is_refused_before_they_are_made() -> None:
    with pytest.raises(ValueError, match=f"one may stand for {MOST}"):
        spelled_out(["[a|b]" * 60])


def test_the_file_of_the_language_is_named_with_the_phrase(tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    shipped = LANGUAGE_FILE.read_text(encoding="utf-8")
    file.write_text(shipped.replace("polite = [", 'polite = ["[can|could we",', 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words\.toml: phrase '\[can\|could we'"):
        load_language(file)


def test_a_hospital_may_write_choices_too(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[machines.PCNL.M06]\naliases = ["[big|old] bertha"]\n[words.verbs]\nstop = ["shelve[| away]"]\n')
    vocabulary = load_vocabulary(PromptSection(site_words=str(file)))
    engine = RuleEngine(vocabulary.surgeries["PCNL"], language=vocabulary.language)
    for text in ("shelve big bertha", "shelve away old bertha"):
        assert [(t.machine_id, t.action) for t in engine.read(text).toggles] == [("M06", "OFF")]
    file.write_text('[words.verbs]\nstop = ["shelve [away"]\n')
    with pytest.raises(ConfigError, match=r"site\.toml: phrase 'shelve \[away'"):
        load_vocabulary(PromptSection(site_words=str(file)))
