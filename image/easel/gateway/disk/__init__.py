"""Files of EASEL_HOME: whole or not there, their owner's alone, and written on a full disk if they must be.

It knows nothing of what is in them.
"""

from easel.gateway.disk.permissions import mend
from easel.gateway.disk.private_file import write_private
from easel.gateway.disk.records import RecordFile, RecordList, settle, update
from easel.gateway.disk.reserve import FULL
from easel.gateway.disk.shared_file import Document, SharedFile
