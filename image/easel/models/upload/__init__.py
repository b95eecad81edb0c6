"""Models that people send: kept in pieces over any number of interruptions, in the store once they are whole.

What speaks HTTP is `easel.studio.files`; here is what lies on the disk and what may become a model.
"""

from easel.models.quota import OverQuota
from easel.models.upload.errors import (
    AlreadyThere,
    TooManyUploads,
    UnknownUpload,
    UploadBusy,
    UploadFailed,
    WrongOffset,
)
from easel.models.upload.journal import State, Upload
from easel.models.upload.taking import Taking
from easel.models.upload.uploads import Uploads

__all__ = [
    "AlreadyThere",
    "OverQuota",
    "State",
    "Taking",
    "TooManyUploads",
    "UnknownUpload",
    "Upload",
    "UploadBusy",
    "UploadFailed",
    "Uploads",
    "WrongOffset",
]
