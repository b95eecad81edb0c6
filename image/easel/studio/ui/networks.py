"""LoRAs and embeddings on the page: cards that write themselves into the prompt (by page.js)."""

from __future__ import annotations

from urllib.parse import quote

from easel.models import IndexEntry, Kind
from easel.studio.engine import pickles
from easel.studio.studio import Studio
from easel.studio.ui.live_preview import escaped

# A page of a thousand cards is slow on a phone; the rest is found by typing its name.
SHOWN = 200
_WORDS = 6


def cards(studio: Studio) -> str:
    """A card for each LoRA and a chip for each embedding, or what to do where there is none."""
    store = studio.engine.store
    loras = store.index(Kind.LORA)
    embeddings = store.files(Kind.EMBEDDING)
    unsafe = pickles(store)
    parts = [
        f'<div class="cards">{"".join(map(_card, loras[:SHOWN]))}</div>' if loras else _none("LoRA", "Lora")
    ]
    if len(loras) > SHOWN:
        parts.append(f"<p>{len(loras) - SHOWN} more: type &lt;lora:name:1&gt;.</p>")
    if embeddings:
        chips = "".join(_word(file.stem) for file in embeddings[:SHOWN])
        parts.append(f'<p>Embeddings</p><div class="chips">{chips}</div>')
    if unsafe:
        names = escaped(", ".join(path.name for path in unsafe[:5]))
        parts.append(f"<p>Not used, for they are pickles, which can run code: {names}</p>")
    return "".join(parts)


def _card(entry: IndexEntry) -> str:
    file = entry.file
    name = escaped(file.stem)
    picture = (
        f'<img src="/sdapi/v1/loras/preview?name={quote(file.name)}" alt="" loading="lazy">'
        if entry.preview
        else '<span class="blank" aria-hidden="true">LoRA</span>'
    )
    words = "".join(_word(word.strip()) for word in entry.trained_words[:_WORDS])
    problem = f'<small class="bad">{escaped(entry.problem)}</small>' if entry.problem else ""
    made_for = f"<small>{escaped(entry.base_model)}</small>" if entry.base_model else ""
    return (
        f'<div class="card"><button type="button" data-insert="&lt;lora:{name}:1&gt;" title="{name}">'
        f"{picture}<b>{name}</b></button>{made_for}{problem}{words}</div>"
    )


def _word(word: str) -> str:
    text = escaped(word)
    return f'<button type="button" class="word" data-insert="{text}">{text}</button>'


def _none(what: str, folder: str) -> str:
    return f"<p>There is no {what} yet: put .safetensors files into models/{folder}, and press Reload.</p>"
