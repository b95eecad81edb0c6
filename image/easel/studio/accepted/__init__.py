"""What the page accepted is drawn and kept, whatever becomes of the process that began it."""

from easel.studio.accepted.accepted import Accepted, Keeping, Kept, News
from easel.studio.accepted.journal import Entry, Journal

__all__ = ["Accepted", "Entry", "Journal", "Keeping", "Kept", "News"]
