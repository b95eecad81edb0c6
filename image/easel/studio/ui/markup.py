"""HTML of our own on the page, by Gradio's Markdown.

Gradio's HTML component makes a function of a text in the browser, which the page's policy
(security_headers.py) forbids. Markdown takes a line that begins with the tag of a block as it is.
"""

from __future__ import annotations

import gradio as gr


def markup(html: str, elem_id: str) -> gr.Markdown:
    """A component for HTML that is ours or escaped. Each value is one line and begins with a block's tag."""
    return gr.Markdown(html, elem_id=elem_id, sanitize_html=False, latex_delimiters=[])
