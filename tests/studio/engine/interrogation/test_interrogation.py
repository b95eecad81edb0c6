"""Pictures put into words: each network's arithmetic and words against what is published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from transformers import BlipImageProcessor, CLIPImageProcessor

from easel.models import FileError, Kind, Store, convert_pickle
from easel.studio.engine import Interrogation, Interrogator, InvalidRequest
from easel.studio.engine.interrogation.captioner import Captioner, sentence, vocabulary
from easel.studio.engine.interrogation.files import find_interrogator
from easel.studio.engine.interrogation.models import InterrogatorModels
from easel.studio.engine.interrogation.ranker import Ranker
from easel.studio.engine.interrogation.ranking import Ranking
from easel.studio.engine.interrogation.tagger import Tagger, tag_words
from easel.studio.engine.interrogation.word_lists import WordList, ranked_words
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from tests.studio import interrogators

NOISE = np.random.default_rng(3).integers(0, 256, (30, 40, 3), np.uint8)
PICTURE = Image.fromarray(NOISE).resize((80, 60), Image.Resampling.BICUBIC)
A_PICTURE_OF = [30522, 1037, 3861, 1997]
"""As BLIP's own tokenizer has it: where a sentence is decoded from, and "a picture of"."""


def said(captioner: Captioner, asked: Interrogation) -> list[int]:
    search = captioner.search(captioner.see(PICTURE), asked)
    for _ in range(200):
        if (tokens := search.step()) is not None:
            return tokens
    raise AssertionError("no end")


@pytest.mark.parametrize(
    ("theirs", "beams", "shortest", "longest"), [(True, 1, 6, 20), (False, 3, 6, 20), (True, 4, 1, 12)]
)
def test_blip_says_what_transformers_says(theirs: bool, beams: int, shortest: int, longest: int) -> None:
    """Word for word, greedily and along several beams, from either layout of the file. For an end that comes
    by itself the end is likely."""
    model = interrogators.blip()
    with torch.no_grad():
        model.text_decoder.cls.predictions.bias[102] = 8.0
    processor = BlipImageProcessor(size={"height": 32, "width": 32})
    with torch.inference_mode():
        wanted = model.generate(
            processor(PICTURE, return_tensors="pt").pixel_values,
            input_ids=torch.tensor([[*A_PICTURE_OF, 102]]),  # the last is cut off
            num_beams=beams, min_length=shortest, max_length=longest, do_sample=False,
        )[0].tolist()  # fmt: skip
    tensors = interrogators.salesforce(model) if theirs else model.state_dict()
    captioner = Captioner(tensors).eval()
    asked = Interrogation(beams=beams, shortest=shortest, longest=longest)
    found = said(captioner, asked)
    ends = wanted.index(102) if 102 in wanted else len(wanted)
    assert found == wanted[4:ends]
    assert shortest - 5 <= len(found) <= longest - 4


def test_words_of_tokens() -> None:
    """Word pieces are put together, BERT's marks left out; the vocabulary is BERT's own."""
    words = vocabulary()
    assert len(words) == 30522
    assert [words.index(one) for one in ("[SEP]", "a", "picture", "of")] == [102, *A_PICTURE_OF[1:]]
    pieces = ["a", "red", "em", "##bed", ",", "[SEP]", "[unused3]", "its", "circle", "##s"]
    assert sentence([words.index(one) for one in pieces] + [30523]) == "a red embed, its circles"


def reference(tensors: dict[str, torch.Tensor], pixels: torch.Tensor) -> list[float]:
    """The network of `interrogators.CONVOLUTIONS` by hand, as TensorFlow computed it."""

    def conv(number: int, hidden: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight, bias = tensors[f"n_Conv_{number}.weight"], tensors.get(f"n_Conv_{number}.bias")
        if weight.shape[-1] == 3:
            hidden = F.pad(hidden, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        return F.conv2d(hidden, weight, bias, stride)

    x = torch.relu(conv(0, F.pad(pixels, (2, 3, 2, 3)), 2))
    x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)  # nothing is below 0
    x = torch.relu(conv(4, torch.relu(conv(3, torch.relu(conv(2, x))))) + conv(1, x))
    x = torch.relu(conv(7, torch.relu(conv(6, torch.relu(conv(5, x))))) + x)
    x = torch.relu(conv(11, torch.relu(conv(10, torch.relu(conv(9, x)), 2))) + conv(8, x, 2))
    x = torch.relu(conv(14, torch.relu(conv(13, torch.relu(conv(12, x)), 2))) + conv(15, x, 2))
    return torch.sigmoid(conv(16, x).mean(dim=(2, 3)))[0].tolist()


def test_deepdanbooru_sees_what_is_published() -> None:
    """Block by block from nothing but shapes; the picture fitted into 512 × 512, its edge stretched."""
    tensors = interrogators.deepdanbooru()
    fitted = np.asarray(PICTURE.resize((512, 384), Image.Resampling.LANCZOS), np.float32)
    square = np.pad(fitted, ((64, 64), (0, 0), (0, 0)), mode="edge")
    pixels = torch.from_numpy(square / 255).permute(2, 0, 1)[None]
    found = Tagger(tensors, {"tags": json.dumps(interrogators.TAGS)}).look(PICTURE)
    assert list(found) == list(interrogators.TAGS)
    assert list(found.values()) == pytest.approx(reference(tensors, pixels), abs=1e-3)
    assert np.std(list(found.values())) > 0.02


SURE = {"b_(x)": 0.9, "a": 0.6, "rating:safe": 0.99, "c_d": 0.5, "few": 0.49}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, r"a, b \(x\), c d"),
        ({"by_alphabet": False}, r"b \(x\), a, c d"),
        ({"spaces": False, "escaped": False}, "a, b_(x), c_d"),
        ({"ranks": True, "threshold": 0.55}, r"(a:0.600), (b \(x\):0.900)"),
        ({"left_out": "c d, a"}, r"b \(x\)"),
        ({"threshold": 0.4, "left_out": "b_(x)"}, "a, c d, few"),
    ],
)
def test_tags_as_a1111_writes_them(fields: dict[str, object], words: str) -> None:
    """Its options; never a rating."""
    assert tag_words(SURE, Interrogation(by=Interrogator.DEEPDANBOORU, **fields)) == words  # type: ignore[arg-type]


def test_a_pickle_keeps_the_names_of_its_tags(tmp_path: Path) -> None:
    """`easel models convert` on what is published: kinds are known by their tensors, and what comes of it
    is found and loaded."""
    store = Store(tmp_path / "models")
    tagged, plain = tmp_path / "model-resnet_custom_v3.pt", tmp_path / "model_base_caption.pth"
    torch.save({**interrogators.deepdanbooru(), "tags": list(interrogators.TAGS)}, tagged)
    torch.save({"model": interrogators.salesforce(interrogators.blip())}, plain)
    made = convert_pickle(tagged, store)
    assert (made.file.kind, made.left_out) == (Kind.IMAGE_ENCODER, 0)
    assert convert_pickle(plain, store).file.kind is Kind.IMAGE_ENCODER
    with safe_open(made.file.path, "pt") as file:
        assert json.loads(file.metadata()["tags"]) == list(interrogators.TAGS)
    for by, kind in ((Interrogator.DEEPDANBOORU, Tagger), (Interrogator.CLIP, Captioner)):
        networks = InterrogatorModels(torch.device("cpu"))
        assert isinstance(networks.get(find_interrogator(store, by)), kind)
        assert networks.clear()
        assert not networks.clear()


def test_what_is_missing_or_broken_is_said(tmp_path: Path) -> None:
    """Which file, where it belongs and the command; of a file without names that it has none."""
    store = Store(tmp_path)
    with pytest.raises(InvalidRequest, match=r"models/ControlNetPreprocessor.*capfilt_large.*models convert"):
        find_interrogator(store, Interrogator.CLIP)
    with pytest.raises(InvalidRequest, match=r"custom_v3\.pt.*convert model-resnet"):
        find_interrogator(store, Interrogator.DEEPDANBOORU)
    interrogators._written(tmp_path, "nameless", interrogators.deepdanbooru(), {})
    store.refresh()
    with pytest.raises(FileError, match="0 names for 5 tags"):
        InterrogatorModels(torch.device("cpu")).get(find_interrogator(store, Interrogator.DEEPDANBOORU))
    tensors = interrogators.salesforce(interrogators.blip())
    del tensors["visual_encoder.norm.weight"]
    interrogators._written(tmp_path, "broken", tensors, {})
    store.refresh()
    with pytest.raises(FileError, match=r"post_layernorm\.weight is missing"):
        InterrogatorModels(torch.device("cpu")).get(find_interrogator(store, Interrogator.CLIP))


PLACES = ("sea", "night", "old town", "x", "nineteenth century", "sun", "sky", "moon", "garden")
WORDS = tuple(f"{one} {kind} of the {place}" for one in ("a red", "blue", "some")
              for kind in ("circle", "dog", "etching, finely made,") for place in PLACES)  # fmt: skip
FLAVOURS = WordList("flavors", 3, WORDS)
MEDIUMS = WordList("mediums", 1, ("a photo", "oil on canvas", "pencil " + "very " * 90 + "long"))


def through(ranking: Ranking) -> tuple[str, int]:
    """The words, and how many turns they took."""
    for turns in range(1, 50):
        with torch.inference_mode():
            if (words := ranking.step()) is not None:
                return words, turns
    raise AssertionError("no end")


def test_words_of_lists_as_clip_ranks_them(tmp_path: Path) -> None:
    """As transformers' own model, image processor and OpenAI's softmax rank them, each list for itself; a
    list is read in pieces, and once."""
    store = Store(tmp_path)
    interrogators.write_clip(tmp_path)
    (tmp_path / "interrogate").mkdir()
    for one, name in ((FLAVOURS, "flavors.top3"), (MEDIUMS, "mediums")):
        (tmp_path / "interrogate" / f"{name}.txt").write_text("\n".join(one.words) + "\n\n", "utf-8")
    asked, words = ranked_words(store, Interrogation())
    assert asked is not None
    assert words == ""
    assert [(one.name, one.most, one.words) for one in asked.lists] == [
        ("flavors.top3", 3, WORDS), ("mediums", 1, MEDIUMS.words)]  # fmt: skip
    network = InterrogatorModels(torch.device("cpu")).get(asked.file)
    assert isinstance(network, Ranker)
    model, tokenizer = interrogators.clip(), load_tokenizer("<|endoftext|>")
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)(PICTURE, return_tensors="pt")
    wanted = ""
    with torch.inference_mode():
        seen = F.normalize(model.visual_projection(model.vision_model(pixels.pixel_values).pooler_output))
        for one in asked.lists:
            tokens = tokenizer(list(one.words), padding="max_length", truncation=True, return_tensors="pt")
            meant = model.text_model(input_ids=tokens["input_ids"]).pooler_output
            sure = (100 * seen @ F.normalize(model.text_projection(meant)).T).softmax(dim=-1)[0]
            for place in sure.topk(one.most).indices.tolist():
                wanted += f", ({one.words[place]}:{sure[place]:.3f})"
    assert through(Ranking(PICTURE, network, asked.lists, ranks=True)) == (wanted, 5)
    again, turns = through(Ranking(PICTURE, network, asked.lists, ranks=False))
    assert turns == 2, "the lists are known"
    assert again == re.sub(r"\(([^:]*):[^)]*\)", r"\1", wanted)


def test_which_lists_count(tmp_path: Path) -> None:
    """None without a network, which is told, or without lists, for tags, or where all are left out; the first
    of each."""
    store, asked = Store(tmp_path), Interrogation()
    folder = tmp_path / "interrogate"
    folder.mkdir()
    (folder / "artists.txt").write_text("one\ntwo\n\nthree\n")
    (folder / "notes.md").write_text("no list")
    found, words = ranked_words(store, asked)
    assert found is None, "no network"
    assert "easel models add hf://openai/clip-vit-large-patch14" in words
    interrogators.write_clip(tmp_path)
    store.refresh()
    found, _ = ranked_words(store, Interrogation(list_limit=2))
    assert found is not None
    assert [one.words for one in found.lists] == [("one", "two")]
    assert ranked_words(store, Interrogation(skipped_lists=("artists",))) == (None, "")
    assert ranked_words(store, Interrogation(by=Interrogator.DEEPDANBOORU)) == (None, "")
    (folder / "artists.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match=r"models/interrogate .*artists\.txt.*UTF-8"):
        ranked_words(store, asked)
