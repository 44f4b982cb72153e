"""The network beside transformers and peft, and beside llama.cpp. Needs the extras `training`, `training-reference`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from beside import opened
from small_lessons import small_lessons
from tiny_adapters import ALPHA, random_pairs, write_random_adapter
from tiny_models import write_gemma

torch = pytest.importorskip("torch", reason="the extra `training` is not installed")
pytest.importorskip("peft", reason="the extra `training-reference` is not installed")

from reference import parameter, peft_model

from models.adapter import Pair, read_adapter, write_adapter
from models.fetch import ensure
from models.manifest import find_manifest
from models.training.encode import Encoder, Example
from models.training.generate import lessons
from models.training.loss import choices, cost
from models.training.network import Network
from models.training.packs import pack_all
from pipeline.errors import OrstateError
from stages.inference.native import Context, Layout, Model, Row

RANK = 4


@pytest.fixture(scope="module", autouse=True)
def plain() -> Iterator[None]:
    """Nothing is compiled, and one thread does the work."""
    torch.set_num_threads(1)
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The window is shorter than the shared part, and questions reach over its edge."""
    return write_gemma(tmp_path_factory.mktemp("base") / "exact.gguf", sliding_window=100, exact=True)


@pytest.fixture(scope="module")
def examples(base: Path) -> Iterator[list[Example]]:
    with closing(Encoder(base)) as encoder:
        yield [encoder.encode(lesson, with_allowed=True) for lesson in small_lessons(1, 5)]


@pytest.fixture
def network(base: Path) -> Network:
    network = Network(base, rank=RANK, alpha=ALPHA, seed=1, precision="float32")
    network.take(random_pairs(base), ALPHA)
    return network


def packed_cost(network: Network, examples: list[Example]) -> "torch.Tensor":
    (pack,) = pack_all(examples, 100_000, 8, "a")
    return cost(network.hidden(pack), network.embedding, torch.from_numpy(pack.targets), torch.ones(len(pack.targets)))


def test_a_pack_costs_what_its_questions_cost_one_by_one_in_transformers_and_peft(
    base: Path, network: Network, examples: list[Example]
) -> None:
    """So do the gradients of all that is trained."""
    assert {example.lesson.surgery.surgery for example in examples} == {"One", "Two"}
    reference = peft_model(base, random_pairs(base), ALPHA)
    expected = torch.zeros(())
    for example in examples:
        tokens = torch.tensor([[*example.shared, *example.own]])
        logits = reference(tokens).logits[0, torch.tensor(example.rows) + len(example.shared)]
        expected = expected + torch.nn.functional.cross_entropy(logits, torch.tensor(example.targets), reduction="sum")
    expected.backward()
    got = packed_cost(network, examples)
    got.backward()
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, each in network.trained.items():
        matrix, _, half = name.rpartition(".lora_")
        wanted = parameter(reference, matrix, half.upper()).grad
        assert wanted is not None
        assert each.grad is not None
        torch.testing.assert_close(each.grad, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_a_pack_costs_what_its_questions_cost_in_packs_of_their_own(network: Network, examples: list[Example]) -> None:
    apart = sum(packed_cost(network, [example]).item() for example in examples)
    assert packed_cost(network, examples).item() == pytest.approx(apart, rel=1e-5)


def test_what_peft_computes_is_what_llama_cpp_computes_with_the_written_adapter(
    base: Path, examples: list[Example], tmp_path: Path
) -> None:
    adapter = write_random_adapter(tmp_path / "a.gguf", base)
    reference = peft_model(base, read_adapter(adapter)[0], ALPHA)
    layout = Layout(cells=2048, sequences=1, rows=2048, threads=1, flash_attention=False)
    with opened(base, adapter, layout) as (_, context):
        for example in examples[:2]:
            tokens = [*example.shared, *example.own]
            context.cut_back(0, 0)
            context.decode([Row(token, at, 0, True) for at, token in enumerate(tokens)])
            got = np.stack([context.logits(at).copy() for at in range(len(tokens))])
            with torch.no_grad():
                wanted = reference(torch.tensor([tokens])).logits[0].numpy()
            assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.02 * wanted.std()


def test_the_embedded_model_computes_what_llama_cpp_computes() -> None:
    """As near as llama.cpp, which rounds what it multiplies to 8 bits, comes: its choices are the same."""
    path = ensure(find_manifest("gemma-3-270m"))
    with closing(Encoder(path)) as encoder:
        (pack,) = pack_all([encoder.encode(lesson) for lesson in lessons(5, 3)], 100_000, 8, "a")
    network = Network(path, rank=RANK, alpha=ALPHA, seed=1, precision="bfloat16")
    with torch.no_grad():
        got = (network.hidden(pack).to(network.embedding.dtype) @ network.embedding.T).float().numpy()
    layout = Layout(cells=2048, sequences=1, rows=2048, threads=1, flash_attention=False)
    same = []
    with closing(Model(path)) as model, closing(Context(model, layout)) as context:
        for number, example in enumerate(pack.examples):
            tokens = [*example.shared, *example.own]
            rows = {len(example.shared) + row for row in example.rows}
            context.cut_back(0, 0)
            context.decode([Row(token, at, 0, at in rows) for at, token in enumerate(tokens)])
            for mine, row in zip(got[pack.owners == number], sorted(rows), strict=True):
                wanted = context.logits(row)
                same.append(wanted.argmax() == mine.argmax())
                assert np.sqrt(np.mean((mine - wanted) ** 2)) < 0.2 * wanted.std()
    assert np.mean(same) > 0.9


def test_a_network_that_was_not_trained_says_what_the_weights_say(base: Path, examples: list[Example]) -> None:
    (pack,) = pack_all(examples, 100_000, 8, "a")
    network = Network(base, rank=RANK, alpha=ALPHA, seed=1, precision="float32")
    other = Network(base, rank=RANK, alpha=ALPHA, seed=2, precision="float32")
    with torch.no_grad():
        torch.testing.assert_close(network.hidden(pack), other.hidden(pack))


def test_choices_are_the_best_of_what_is_allowed(network: Network, examples: list[Example]) -> None:
    (pack,) = pack_all(examples, 100_000, 8, "a")
    allowed = np.stack([each for example in pack.examples for each in example.allowed])
    with torch.no_grad():
        hidden = network.hidden(pack)
        chosen = choices(hidden, network.embedding, torch.from_numpy(allowed)).numpy()
        scores = (hidden @ network.embedding.T).numpy()
    for row, token in enumerate(chosen):
        open_ = [at for at in range(scores.shape[1]) if allowed[row, at // 32] >> (at % 32) & 1]
        assert token == max(open_, key=lambda at: scores[row, at])


def test_cost_is_that_of_the_whole_vocabulary_and_so_is_its_gradient() -> None:
    torch.manual_seed(1)
    hidden, embedding = torch.randn(300, 8, requires_grad=True), torch.randn(50, 8)
    targets, weights = torch.randint(50, (300,)), torch.rand(300)
    wanted = (torch.nn.functional.cross_entropy(hidden @ embedding.T, targets, reduction="none") * weights).sum()
    (slope,) = torch.autograd.grad(3 * wanted, hidden)
    got = cost(hidden, embedding, targets, weights)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)
    torch.testing.assert_close(torch.autograd.grad(3 * got, hidden)[0], slope, rtol=1e-4, atol=1e-5)


def test_a_network_goes_on_from_an_adapter_that_it_wrote(network: Network, base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", network.pairs(), architecture="gemma3", alpha=ALPHA, notice={})
    again = Network(base, rank=RANK, alpha=ALPHA, seed=9, precision="float32")
    again.take(*read_adapter(tmp_path / "a.gguf"))
    for name, pair in network.pairs().items():
        for mine, other in zip(pair, again.pairs()[name], strict=True):
            np.testing.assert_array_equal(mine.astype(np.float16), other)


def test_an_adapter_of_another_rank_or_alpha_is_no_start(base: Path, network: Network) -> None:
    with pytest.raises(OrstateError, match="has alpha 1 and 49 matrices, the settings ask for 8 and 49"):
        network.take(network.pairs(), 1.0)
    wide = {name: Pair(np.tile(pair.a, (2, 1)), np.tile(pair.b, 2)) for name, pair in network.pairs().items()}
    with pytest.raises(OrstateError, match=r"shape \(8, 128\), the settings ask for \(4, 128\); set the rank"):
        network.take(wide, ALPHA)


def test_only_gemma_3_can_be_trained(tiny_llama: Path) -> None:
    with pytest.raises(OrstateError, match="the architecture is 'llama'; only gemma3 can be trained"):
        Network(tiny_llama, rank=RANK, alpha=ALPHA, seed=1, precision="float32")
