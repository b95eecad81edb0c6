"""Models: the store of files by name, what each file is, and how it comes, stays whole and goes.

The one door: what others may use of this package is here, and nothing behind it is imported from outside.
Light: imports no torch and no numpy.
"""

from easel.models.architecture import CheckpointIdentity, identify
from easel.models.base_family import OTHER as OTHER_FAMILY
from easel.models.cache.cache import Cache, cache_from_environment, open_model
from easel.models.cache.reader import FileReader, Reader
from easel.models.conversion.convert import Converted, NotConverted, convert_pickle
from easel.models.conversion.onnx_file import (
    ONNX,
    OnnxRefused,
    check_onnx,
    convert_onnx,
    first_nodes,
    is_onnx,
)
from easel.models.diffusers_folder import Piece, folder_state, identify_folder, is_diffusers_folder, pieces_of
from easel.models.disk import write_whole
from easel.models.errors import (
    CutShort,
    FileError,
    Incomplete,
    LyingHeader,
    MissingFile,
    ModelError,
    NotSafetensors,
    UnknownArchitecture,
    UnknownModel,
    WrongKind,
)
from easel.models.family_names import Architecture
from easel.models.family_needs import FLOW_LABELS, Needs, TextNeed, families_of_role, needs_of
from easel.models.fetch.follower import AUTOV3_BELOW
from easel.models.fetch.network import NotFetched, fetch_small, http_client
from easel.models.fetch.progress import FetchProgress, Phase
from easel.models.fetch.transfer import FetchLimits
from easel.models.former_names import path_now
from easel.models.header import Header, TensorInfo, read_header
from easel.models.index import CIVITAI_INFO, IndexEntry, identity_of, preview_of, read_info
from easel.models.intake.add import Added, Intake, ModelRequest
from easel.models.intake.civitai_files import write_civitai_files
from easel.models.intake.destination import destination
from easel.models.intake.removal import remove_model
from easel.models.intake.renaming import rename_model
from easel.models.intake.sync import Outcome, Synced, sync
from easel.models.intake.verification import Verification, verify_model
from easel.models.kind import GGUF, SAFETENSORS, Kind, is_lite_control, is_vae, small_kind
from easel.models.lock import Lock
from easel.models.model_file import ModelFile, sidecar_path
from easel.models.model_header import read_model_header
from easel.models.model_notes import ModelNotes, UnreadableNotes, read_notes, write_notes
from easel.models.model_set import ModelSet, SetPart, model_set, role_of, set_bytes
from easel.models.parts import FACTS as PART_FACTS
from easel.models.parts import PartFacts, is_vae_role, part_in
from easel.models.quota import OverQuota, quota_of
from easel.models.records import Record
from easel.models.sidecar import Sidecar, read_sidecar, state_beside
from easel.models.sizes import gigabytes
from easel.models.source_errors import (
    Altered,
    Archived,
    BadAddress,
    BadName,
    DiskFull,
    EarlyAccess,
    Forbidden,
    Interrupted,
    KeepsChanging,
    NameTaken,
    NeedsToken,
    NoAccess,
    NotAModel,
    NotThere,
    NotWritable,
    SourceError,
    TooManyRequests,
    Unreachable,
    Unsafe,
    WrongHash,
)
from easel.models.sources.addresses import secrets_of, source_of
from easel.models.sources.bucket import BucketSource
from easel.models.sources.civitai import (
    CIVITAI_HOSTS,
    CIVITAI_KINDS,
    CIVITAI_URL,
    CivitaiSource,
    civitai_source,
    preview_of_info,
)
from easel.models.sources.hub import HubSource
from easel.models.sources.local import LocalSource
from easel.models.sources.offer import Offer, Secrets, Source
from easel.models.sources.policy import OPERATOR, VISITOR, FetchPolicy
from easel.models.sources.web import WebSource
from easel.models.store import Store
from easel.models.upload.errors import (
    AlreadyThere,
    TooManyUploads,
    UnknownUpload,
    UploadBusy,
    UploadFailed,
    WrongOffset,
)
from easel.models.upload.journal import Upload, UploadState
from easel.models.upload.uploads import Uploads
from easel.models.upload.writer import UploadWriter
from easel.models.walking import walk
