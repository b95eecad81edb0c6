"""The page: a Gradio application in front of the engine, for people."""

from easel.studio.ui.mount import mount
