"""Which models a person draws with most: counted from what their pictures say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from easel.studio.engine import mentions
from easel.studio.gallery import PictureEntry
from easel.studio.library import StoredModel

_TAG = re.compile(r"<(?:lora|lyco):([^:<>]+)", re.IGNORECASE)


def usage(entries: Iterable[PictureEntry], models: Iterable[StoredModel]) -> dict[str, dict[str, int]]:
    """In how many pictures each checkpoint, LoRA and embedding stands, by kind and name; of other kinds
    pictures say nothing that a listing reads. Pictures from before a renaming count."""
    checkpoints: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    for one in entries:
        checkpoints[one.checkpoint.lower()] += 1
        prompts[one.prompt] += 1
    loras: Counter[str] = Counter()
    for prompt, count in prompts.items():
        for name in {found.strip().lower() for found in _TAG.findall(prompt)}:
            loras[name] += count
    found: dict[str, dict[str, int]] = {"checkpoint": {}, "lora": {}, "embedding": {}}
    for model in models:
        if count := _count(model, checkpoints, loras, prompts):
            found[model.kind][model.name] = count
    return found


def _count(model: StoredModel, checkpoints: Counter[str], loras: Counter[str], prompts: Counter[str]) -> int:
    paths = [name.rsplit(".", 1)[0].lower() for name in (model.name, *model.formerly)]
    names = {*paths, *(path.rsplit("/", 1)[-1] for path in paths), model.use.lower()}
    if model.kind == "checkpoint":
        return sum(checkpoints[name] for name in names)
    if model.kind == "lora":
        return sum(loras[name] for name in names)
    pattern = mentions([model.use]) if model.kind == "embedding" and model.use else None
    return sum(count for prompt, count in prompts.items() if pattern.search(prompt)) if pattern else 0
