"""The page: elements of the browser's own kind over the studio's JSON routes (web/), served as files."""

from easel.studio.ui.mount import mount
